"""What several test files share: judges, random programs, readers of diagrams, places."""
