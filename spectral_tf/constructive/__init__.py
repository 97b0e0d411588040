"""Weights written down, not trained: gadgets with proofs, and what they compose."""
