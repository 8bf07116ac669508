"""The benchmarks of `make bench`. Counts and ratios can be compared between machines; times can't."""
