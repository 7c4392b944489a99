# The whole of ncaa_assets on AWS: the archive (S3, DynamoDB), the encoder's role, Dagster on Fargate with its database,
# the daily trigger, and the alerts. This file says what Terraform needs, and the names that all others share.

terraform {
  required_version = ">= 1.11" # write-only arguments: no password in the state

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region = var.aws_region

  default_tags {
    tags = merge({ Project = var.project_name, ManagedBy = "terraform" }, var.tags)
  }
}

# The same once more: `terraform test` puts a mock in the first one's place, and mocks know no ephemeral resources.
provider "aws" {
  alias  = "ephemeral"
  region = var.aws_region
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition

  # Until there is an image, nothing is started: the service stands at zero and the schedule is off.
  started = var.image_tag != ""

  # `arn:…:service:region:account`, for the resources that have no resource of their own here.
  arn = { for service in ["ecs", "events", "cloudwatch", "mediaconvert"] :
    service => "arn:${local.partition}:${service}:${var.aws_region}:${local.account}"
  }
}
