# The role by which MediaConvert reads the copies and writes the encodes. Jobs go to the account's default queue, which is
# there in every region and costs nothing by itself.

locals {
  mediaconvert_role_arn  = local.given.mediaconvert_role_arn != null ? local.given.mediaconvert_role_arn : aws_iam_role.mediaconvert[0].arn
  mediaconvert_queue_arn = local.given.mediaconvert_queue != null ? local.given.mediaconvert_queue : "${local.arn.mediaconvert}:queues/Default"
}

resource "aws_iam_role" "mediaconvert" {
  count = local.given.mediaconvert_role_arn == null ? 1 : 0

  name        = "${local.role_prefix}-mediaconvert"
  description = "MediaConvert: reads copied videos, writes encoded ones"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "mediaconvert.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })

  lifecycle {
    ignore_changes = [name]
  }
}

resource "aws_iam_role_policy" "mediaconvert" {
  count = local.given.mediaconvert_role_arn == null ? 1 : 0

  name = "encode"
  role = aws_iam_role.mediaconvert[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadCopies"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${aws_s3_bucket.archive.arn}/${local.prefix}videos/*"
      },
      {
        Sid      = "WriteEncodes"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${aws_s3_bucket.archive.arn}/${local.prefix}processed_videos/*"
      },
    ]
  })
}
