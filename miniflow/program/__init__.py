"""A recording, frozen."""
