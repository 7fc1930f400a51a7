"""Both stages: training that was killed goes on where it was."""
