"""Making a model: the loop, the step, optimizers, schedules."""
