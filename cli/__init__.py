"""The command `tisslm`: one module per group of commands, each thin."""
