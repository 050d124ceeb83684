"""A page that steps through a tape."""
