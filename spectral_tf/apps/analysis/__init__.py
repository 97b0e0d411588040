"""A file of numbers in, a folder of answers out: components, clusters, outliers."""
