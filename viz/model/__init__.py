"""Networks and plots of training."""
