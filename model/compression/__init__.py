"""Make a trained model smaller: int8 weights, stored as int8 and run from int8."""
