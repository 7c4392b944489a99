# The two secrets: the API key, which only its owner knows, and the database's password, which nobody needs to know.
# Neither value is ever in the state: the key is put in by hand, the password goes in by write-only arguments. A secret that is
# destroyed is gone at once: for as long as AWS could bring it back, its name would be taken.

resource "aws_secretsmanager_secret" "api_key" {
  #checkov:skip=CKV_AWS_149: Secrets Manager's own key encrypts it; a KMS key of one's own costs a dollar a month
  #checkov:skip=CKV2_AWS_57: RapidAPI's key is changed by its owner; nothing here could

  count = local.makes_api_key ? 1 : 0

  name                    = "${var.project_name}/rapidapi-key"
  description             = "The API key, as {\"api_key\": \"…\"}; put in by hand"
  recovery_window_in_days = 0
}

# Which versions there are, never their values: an empty secret is told here and not by a task that cannot start. A given
# one waits for nothing that is made here, so that every plan looks at it.
data "aws_secretsmanager_secret_versions" "api_key" {
  count = local.started && local.makes_api_key ? 1 : 0

  secret_id = aws_secretsmanager_secret.api_key[0].arn
}

data "aws_secretsmanager_secret_versions" "given_api_key" {
  count = local.given.rapidapi_secret_arn != null ? 1 : 0

  secret_id = local.given.rapidapi_secret_arn

  # AWS finds a secret by its ARN without the last six characters too, but no task could read it by that. Of an empty one
  # there is no name here; the provider's `arn` is the name too.
  lifecycle {
    postcondition {
      condition     = self.name == null || self.name == replace(split(":", self.secret_id)[6], "/-[A-Za-z0-9]{6}$/", "")
      error_message = "rapidapi_secret_arn must be the whole ARN of the secret, with the six characters that AWS put behind its name. It is the answer to: aws --region ${var.aws_region} secretsmanager describe-secret --secret-id '${coalesce(self.name, "?")}' --query ARN --output text"
    }
  }
}

# A given SSM parameter is looked up in the same way: ephemeral, and still encrypted, its value is in no plan and no state.
ephemeral "aws_ssm_parameter" "api_key" {
  provider = aws.ephemeral
  count    = local.started && local.given.rapidapi_ssm_parameter_arn != null ? 1 : 0

  arn             = local.given.rapidapi_ssm_parameter_arn
  with_decryption = false
}

locals {
  makes_api_key      = local.given.rapidapi_secret_arn == null && local.given.rapidapi_ssm_parameter_arn == null
  api_key_secret_arn = local.makes_api_key ? aws_secretsmanager_secret.api_key[0].arn : local.given.rapidapi_secret_arn
  api_key_json_key   = local.makes_api_key ? "api_key" : local.given.rapidapi_secret_json_key

  # What a task definition's `valueFrom` takes: of a secret one field of its JSON, then stage and version, left empty.
  api_key_value_from = (
    local.given.rapidapi_ssm_parameter_arn != null ? local.given.rapidapi_ssm_parameter_arn :
    local.api_key_json_key != null ? "${local.api_key_secret_arn}:${local.api_key_json_key}::" : local.api_key_secret_arn
  )
  # An empty secret has null for versions.
  api_key_versions = flatten([
    for secret in concat(data.aws_secretsmanager_secret_versions.api_key, data.aws_secretsmanager_secret_versions.given_api_key) :
    secret.versions == null ? [] : secret.versions
  ])

  api_key_is_there = (
    !local.started || local.given.rapidapi_ssm_parameter_arn != null ||
    anytrue([for one in local.api_key_versions : contains(one.version_stages, "AWSCURRENT")])
  )
}

resource "aws_secretsmanager_secret" "database" {
  #checkov:skip=CKV_AWS_149: Secrets Manager's own key encrypts it; a KMS key of one's own costs a dollar a month
  #checkov:skip=CKV2_AWS_57: a password that changes behind a running task's back stops its runs; the database is private

  name                    = "${var.project_name}/database-password"
  description             = "The password of Dagster's database"
  recovery_window_in_days = 0
}

# Made of random numbers at the first apply. uuid() gives others each time, but a write-only argument is sent only when its
# version changes, and is kept in no plan and no state.
resource "aws_secretsmanager_secret_version" "database" {
  secret_id                = aws_secretsmanager_secret.database.id
  secret_string_wo         = substr(replace("${uuid()}${uuid()}", "-", ""), 0, 40) # Aurora's documented most is 41
  secret_string_wo_version = 1
}

# Read back, so that the database gets what was kept, also where an apply broke off in between. By the version's ARN, which
# nobody knows before there is one: by the secret's, a plan would look for a version that is yet to be made.
ephemeral "aws_secretsmanager_secret_version" "database" {
  provider = aws.ephemeral

  secret_id = aws_secretsmanager_secret_version.database.arn
}
