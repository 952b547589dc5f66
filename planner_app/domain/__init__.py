"""Events, run state, plan, moves, budgets, loop detection, citations: pure, no I/O."""
