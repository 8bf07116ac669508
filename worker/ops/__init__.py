"""For the operator: `checks` tries everything, `status` reports the state, `coverage` counts by group."""
