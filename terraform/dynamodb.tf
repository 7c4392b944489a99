# The rows: a highlight each, found by its id or by its game day. The names are those of ncaa_assets/backends/aws/dynamodb.py.

locals {
  table_arn = "arn:${local.partition}:dynamodb:${var.aws_region}:${local.account}:table/${var.dynamodb_table}"
}

resource "aws_dynamodb_table" "highlights" {
  #checkov:skip=CKV_AWS_119: DynamoDB's own key encrypts it; a KMS key of one's own costs a dollar a month, for the same reader

  name                        = var.dynamodb_table
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "id"
  deletion_protection_enabled = local.is_protected

  attribute {
    name = "id"
    type = "S"
  }

  attribute {
    name = "game_date"
    type = "S"
  }

  global_secondary_index {
    name            = "by_game_date"
    hash_key        = "game_date"
    range_key       = "id"
    projection_type = "ALL"
  }

  point_in_time_recovery {
    enabled = true
  }

  lifecycle {
    prevent_destroy = true

    precondition {
      condition     = lookup(local.owners, local.table_arn, null) == null
      error_message = "The table ${var.dynamodb_table} is of another deployment here, ${try(local.owners[local.table_arn], "")}: name another in dynamodb_table."
    }
  }
}
