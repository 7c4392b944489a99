"""What AWS asks for what an archive grows by, in dollars: one place for the doctor's forecast and for what a run logs.

The list prices of us-east-1, as AWS's pages of S3, DynamoDB and MediaConvert had them in `MONTH`; not checked since.
docs/deployment.md has the same ones, and those of the deployment itself.
"""

MONTH = "July 2025"

ENCODED_MINUTE = 0.015  # of HD at up to 30 frames a second, in MediaConvert's basic tier (media/minutes.py counts them)
STORED_GIGABYTE = 0.023  # a month in S3 Standard
THOUSAND_WRITES = 0.005  # requests to S3 that write or list
THOUSAND_READS = 0.0004
MILLION_ROW_UNITS = 0.625  # writes to DynamoDB: a unit is up to 1 KB, and the index takes as many again
