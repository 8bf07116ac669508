"""What `make bench` measures: counts and ratios, side by side, on whatever machine it runs."""
