"""Pre-training: state, step, data parallelism, loop and verified checkpoints."""
