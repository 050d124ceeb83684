"""What a user calls: `jit` and `vmap`."""
