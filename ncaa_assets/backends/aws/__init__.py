"""An archive on AWS: S3, DynamoDB and MediaConvert. One file a service, and what they share."""
