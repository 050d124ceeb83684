"""Text, colours, and DOT to pictures."""
