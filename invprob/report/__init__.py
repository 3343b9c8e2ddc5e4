"""Pictures drawn from results, operators and generators."""
