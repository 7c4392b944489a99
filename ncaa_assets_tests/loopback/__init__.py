"""What stands for the world on this machine: AWS, MediaConvert, Fargate, EventBridge, Postgres and hosts.

Each is as strict as what it stands for, and usable without pytest.
"""
