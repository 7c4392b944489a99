# The archive's bucket: keeps every version, lets nobody in without TLS, and nobody from outside the account. Dagster's
# compute logs lie in it too, below a prefix of their own.

locals {
  bucket_name = local.given.s3_bucket_name != null ? local.given.s3_bucket_name : "${var.project_name}-${local.account}-${var.aws_region}"
  prefix      = local.given.s3_prefix == null ? "" : "${local.given.s3_prefix}/"

  # What is rewritten so often that its earlier versions would outgrow the archive, and for how many days they are kept:
  # a lease every 20 s while a run lives, what is left of the API's quota with each request, a ledger entry with each step
  # of an encode, a large copy, which goes up under `.tmp/` until it is known to be whole, and the gallery's pages, which
  # can be made again.
  short_lived = { ".leases/" = 1, ".quota/" = 1, ".doctor/" = 1, ".tmp/" = 1, "gallery/" = 3, "processed_videos/.ledger/" = 30 }
}

resource "aws_s3_bucket" "archive" {
  #checkov:skip=CKV_AWS_18: access logs of a private bucket with one application cost more than they tell; CloudTrail has who changed it
  #checkov:skip=CKV_AWS_144: a second region doubles the price; versions and protection from deletion are the answer here
  #checkov:skip=CKV_AWS_145: S3's own keys (AES-256): a KMS key costs a dollar a month and a request fee each time, for the same reader
  #checkov:skip=CKV2_AWS_62: nothing listens to the bucket's events; Dagster knows what it wrote

  bucket        = local.bucket_name
  force_destroy = !local.is_protected

  lifecycle {
    prevent_destroy = true

    precondition {
      condition     = lookup(local.owners, "arn:${local.partition}:s3:::${local.bucket_name}", null) == null
      error_message = "The bucket ${local.bucket_name} is of another deployment here, ${try(local.owners["arn:${local.partition}:s3:::${local.bucket_name}"], "")}: name another in s3_bucket_name."
    }
  }
}

resource "aws_s3_bucket_ownership_controls" "archive" {
  bucket = aws_s3_bucket.archive.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "archive" {
  bucket = aws_s3_bucket.archive.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "archive" {
  bucket = aws_s3_bucket.archive.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_versioning" "archive" {
  bucket = aws_s3_bucket.archive.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_policy" "archive" {
  bucket = aws_s3_bucket.archive.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      # TlsOnly: a denial is of everything, for everybody.
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.archive.arn, "${aws_s3_bucket.archive.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.archive]
}

resource "aws_s3_bucket_lifecycle_configuration" "archive" {
  #checkov:skip=CKV_AWS_300: the first rule does that for every object; checkov takes its empty filter for none

  bucket = aws_s3_bucket.archive.id

  rule {
    id     = "uploads-that-were-never-finished"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  rule {
    id     = "dagster-logs"
    status = "Enabled"

    filter {
      prefix = local.logs_prefix
    }

    expiration {
      days = var.log_retention_days
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }
  }

  dynamic "rule" {
    for_each = local.short_lived

    content {
      id     = "versions-of-${replace(trim(rule.key, "/."), "/[^a-z]+/", "-")}"
      status = "Enabled"

      filter {
        prefix = "${local.prefix}${rule.key}"
      }

      # What a killed upload left under `.tmp/` goes too, and with it the marks of what was deleted.
      expiration {
        days                         = rule.key == ".tmp/" ? 7 : null
        expired_object_delete_marker = rule.key == ".tmp/" ? null : true
      }

      noncurrent_version_expiration {
        noncurrent_days = rule.value
      }
    }
  }

  dynamic "rule" {
    for_each = var.old_videos_after_days == 0 ? [] : [var.old_videos_after_days]

    content {
      id     = "old-videos"
      status = "Enabled"

      filter {
        prefix = "${local.prefix}videos/"
      }

      transition {
        days          = rule.value
        storage_class = var.old_videos_storage_class
      }
    }
  }

  dynamic "rule" {
    for_each = var.old_versions_after_days == 0 ? [] : [var.old_versions_after_days]

    content {
      id     = "old-versions"
      status = "Enabled"

      filter {
        prefix = local.prefix == "" ? null : local.prefix
      }

      noncurrent_version_transition {
        noncurrent_days = rule.value
        storage_class   = var.old_versions_storage_class
      }
    }
  }

  dynamic "rule" {
    for_each = var.old_versions_expire_days == 0 ? [] : [var.old_versions_expire_days]

    content {
      id     = "versions-that-nobody-wants-back"
      status = "Enabled"

      filter {
        prefix = local.prefix == "" ? null : local.prefix
      }

      noncurrent_version_expiration {
        noncurrent_days = rule.value
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.archive]
}
