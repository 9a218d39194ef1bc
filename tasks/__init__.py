"""The stages and everything they do beside the work itself: params, inputs, tracking, provenance, expectations."""
