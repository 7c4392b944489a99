# The image's repository. A tag is one image for ever, so what ran on a day can be told by its tag.

locals {
  repository     = local.given.ecr_repository_name != null ? local.given.ecr_repository_name : var.project_name
  repository_arn = "arn:${local.partition}:ecr:${var.aws_region}:${local.account}:repository/${local.repository}"
}

resource "aws_ecr_repository" "main" {
  #checkov:skip=CKV_AWS_136: an image holds no secret; ECR's own keys (AES-256) encrypt it without a KMS key's price

  name                 = local.repository
  image_tag_mutability = "IMMUTABLE"
  force_delete         = !local.is_protected

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "AES256"
  }

  lifecycle {
    prevent_destroy = true

    precondition {
      condition     = lookup(local.owners, local.repository_arn, null) == null
      error_message = "The repository ${local.repository} is of another deployment here, ${try(local.owners[local.repository_arn], "")}: name another in ecr_repository_name."
    }
  }
}

resource "aws_ecr_lifecycle_policy" "main" {
  repository = aws_ecr_repository.main.name
  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "Images without a tag are what an interrupted push left"
        selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 1 }
        action       = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "The newest are kept, to go back to"
        selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = var.images_to_keep }
        action       = { type = "expire" }
      },
    ]
  })
}

# Looked up, so that a tag that nobody pushed ends here and not in a task that cannot start. The provider says only that
# it "couldn't find resource", so the name says what to do: `terraform output -raw push_command`, or another image_tag.
data "aws_ecr_image" "push_this_tag_first" {
  count = local.started ? 1 : 0

  repository_name = aws_ecr_repository.main.name
  image_tag       = local.given.image_tag
}

locals {
  image = "${aws_ecr_repository.main.repository_url}:${local.started ? data.aws_ecr_image.push_this_tag_first[0].image_tag : "none-yet"}"
}
