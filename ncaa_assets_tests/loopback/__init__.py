"""What stands for the world on this machine: AWS, MediaConvert, Fargate, EventBridge, Postgres, Terraform, HTTP hosts.

Each stand-in is as strict as the original. The tests, the rehearsal and the README's pictures use them, so no module
here imports pytest or anything of the tests; what the machine does not have is `Lacking`.
"""
