# The whole of ncaa_assets on AWS: the archive (S3, DynamoDB), the encoder's role, Dagster on Fargate with its database,
# the daily trigger, and the alerts. This file has what all others share, and what is looked at before anything is made.

provider "aws" {
  region = var.aws_region

  default_tags {
    tags = merge(var.tags, { Project = var.project_name, ManagedBy = "terraform" })
  }
}

# The same once more: `terraform test` puts a mock in the first one's place, and mocks know no ephemeral resources.
provider "aws" {
  alias  = "ephemeral"
  region = var.aws_region
}

data "aws_caller_identity" "current" {
  lifecycle {
    postcondition {
      condition     = alltrue([for arn in [var.mediaconvert_role_arn, var.mediaconvert_queue] : try(length(arn), 0) == 0 || try(split(":", arn)[4], "") == self.account_id])
      error_message = "mediaconvert_role_arn and mediaconvert_queue must be of the account that this deployment is made in, ${self.account_id}: MediaConvert takes no other account's."
    }
  }
}

data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition

  # Until there is an image, nothing is started: the service stands at zero and the schedule is off.
  started = local.given.image_tag != null

  # unprotected_override.tf sets it to false, and nothing else does.
  is_protected = true

  # `arn:…:service:region:account`, for the resources that have no resource of their own here.
  arn = { for service in ["ecs", "events", "cloudwatch", "mediaconvert"] :
    service => "arn:${local.partition}:${service}:${var.aws_region}:${local.account}"
  }
}

# In another region nothing of what is in the state would be found, so that all of it would be made anew there and forgotten
# here; and a database does not move to another network.
resource "terraform_data" "place" {
  triggers_replace = [var.aws_region, var.vpc_cidr]

  lifecycle {
    prevent_destroy = true
  }
}

check "protected" {
  assert {
    condition     = local.is_protected
    error_message = "unprotected_override.tf is in place: archive, table, images and database can be deleted. When you are done, remove that file and apply once more."
  }
}

# ---- What a plan looks at in the account ----------------------------------------------------------------------------------

# AWS makes these roles by itself at the first use of a service, but not always in time for it.
data "aws_iam_roles" "service_linked" {
  for_each = toset(["ecs", "rds"])

  path_prefix = "/aws-service-role/${each.key}.amazonaws.com/"
}

# What other deployments of this configuration have made in this account and region, by their tags.
data "aws_resourcegroupstaggingapi_resources" "ours" {
  resource_type_filters = ["dynamodb:table", "ecr:repository", "s3"]

  tag_filter {
    key    = "ManagedBy"
    values = ["terraform"]
  }
}

locals {
  service_role_missing = { for service, found in data.aws_iam_roles.service_linked : service =>
    length(found.arns) > 0 ? "" : "This account has no service-linked role for ${upper(service)} yet. Run this once, then plan again: aws iam create-service-linked-role --aws-service-name ${service}.amazonaws.com"
  }

  # The project that each of them is of. Earlier versions let `tags` name another project.
  owners = { for one in data.aws_resourcegroupstaggingapi_resources.ours.resource_tag_mapping_list :
    one.resource_arn => one.tags["Project"]
    if !contains([var.project_name, lookup(var.tags, "Project", var.project_name)], lookup(one.tags, "Project", var.project_name))
  }
}
