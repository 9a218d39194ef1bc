"""What makes the tokenizer fast: kernels that train it and engines that encode with it."""
