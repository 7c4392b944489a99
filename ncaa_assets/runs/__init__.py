"""The life of a run: how it is executed or launched on ECS, how it ended, and who is alerted."""
