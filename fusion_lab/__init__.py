"""Training, evaluation, export, benches and the synthetic scene: what a robot does not run."""
