"""One run's life: executed here or launched on ECS, killed, how it came out, and who hears of it."""
