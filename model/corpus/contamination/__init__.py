"""Whether training text holds pieces of the data that a model is judged on."""
