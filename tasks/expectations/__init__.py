"""What data must be like: Great Expectations suites as editable files, and the one module that runs them."""
