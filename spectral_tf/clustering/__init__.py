"""Clusters of a Gaussian mixture: instances, metrics, baselines, one evaluation."""
