# Everything that may differ from one deployment to the next. Only `project_name`, `aws_region` and `alert_emails` want a
# thought before the first apply; terraform.tfvars.example has those. What is unset is null.

locals {
  # An empty text means unset too, in a terraform.tfvars of earlier days. What may be unset is read from here.
  given = { for name, value in {
    s3_bucket_name             = var.s3_bucket_name
    s3_prefix                  = var.s3_prefix
    ecr_repository_name        = var.ecr_repository_name
    image_tag                  = var.image_tag
    rapidapi_secret_arn        = var.rapidapi_secret_arn
    rapidapi_secret_json_key   = var.rapidapi_secret_json_key
    rapidapi_ssm_parameter_arn = var.rapidapi_ssm_parameter_arn
    rapidapi_kms_key_arn       = var.rapidapi_kms_key_arn
    mediaconvert_role_arn      = var.mediaconvert_role_arn
    mediaconvert_queue         = var.mediaconvert_queue
    mediaconvert_endpoint      = var.mediaconvert_endpoint
  } : name => value == "" ? null : value }
}

# ---- Names and place ----------------------------------------------------------------------------------------------------

variable "aws_region" {
  description = "The region of everything."
  type        = string
  default     = "us-east-1"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.aws_region))
    error_message = "aws_region must be a region's name, such as us-east-1."
  }
}

variable "project_name" {
  description = "What every name begins with. Another one makes a second deployment beside the first."
  type        = string
  default     = "ncaa-assets"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.project_name)) && !strcontains(var.project_name, "--")
    error_message = "project_name must be 3 to 24 small letters, digits and single hyphens, a letter first: RDS takes no other."
  }
}

variable "tags" {
  description = "Tags on everything, besides Project and ManagedBy."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "s3_bucket_name" {
  description = "The archive's bucket, which is made. null: project_name, the account's number and the region."
  type        = string
  default     = null

  validation {
    condition     = var.s3_bucket_name == null || var.s3_bucket_name == "" || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.s3_bucket_name))
    error_message = "s3_bucket_name must be 3 to 63 small letters, digits and hyphens (dots break TLS)."
  }
}

variable "s3_prefix" {
  description = "What the archive's keys begin with: a folder in the bucket. null: the bucket's root."
  type        = string
  default     = null

  validation {
    condition     = var.s3_prefix == null || var.s3_prefix == "" || can(regex("^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$", var.s3_prefix))
    error_message = "s3_prefix must be a path of plain names without a slash at either end, such as backups/ncaa."
  }
}

variable "dynamodb_table" {
  description = "The table of the rows, which is made."
  type        = string
  default     = "SportsHighlights"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]{3,255}$", var.dynamodb_table))
    error_message = "dynamodb_table must be 3 to 255 letters, digits, dots, hyphens and underscores."
  }
}

variable "ecr_repository_name" {
  description = "The image's repository, which is made. null: project_name."
  type        = string
  default     = null

  validation {
    condition     = var.ecr_repository_name == null || var.ecr_repository_name == "" || can(regex("^[a-z0-9][a-z0-9._/-]{1,255}$", var.ecr_repository_name))
    error_message = "ecr_repository_name must be small letters, digits and . _ / -, at least two."
  }
}

# ---- What runs, and when ------------------------------------------------------------------------------------------------

variable "image_tag" {
  description = "The image's tag, the commit's short hash. null: everything is made and nothing is started."
  type        = string
  default     = null

  validation {
    condition     = var.image_tag == null || var.image_tag == "" || can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", var.image_tag))
    error_message = "image_tag must be a tag alone, such as 3f2a91c."
  }
  validation {
    condition     = var.image_tag != "latest"
    error_message = "image_tag must name one image for ever, such as a commit's short hash; tags in this repository cannot be moved."
  }
}

variable "always_on" {
  description = "true: the UI and Dagster's schedule run around the clock. false: EventBridge alone starts the daily work, and nothing is paid for in between."
  type        = bool
  default     = true
  nullable    = false
}

variable "catch_up_schedule" {
  description = "When EventBridge starts `ncaa-assets catch-up`, in `timezone`: after Dagster's own schedule at 06:00."
  type        = string
  default     = "cron(0 9 * * ? *)"
  nullable    = false

  validation {
    condition     = can(regex("^cron\\(([^ ]+ ){5}[^ ]+\\)$", var.catch_up_schedule))
    error_message = "catch_up_schedule must be an EventBridge cron expression of six fields, such as cron(0 9 * * ? *)."
  }
}

variable "alert_emails" {
  description = "Who is told of failures. AWS asks each by mail to confirm."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", address))])
    error_message = "alert_emails must be mail addresses."
  }
}

# ---- The API key: a secret that is made here, or one that is there already ------------------------------------------------

variable "rapidapi_secret_arn" {
  description = "A Secrets Manager secret that holds the API key already. null: one is made, and you put the key into it."
  type        = string
  default     = null

  validation {
    condition     = var.rapidapi_secret_arn == null || var.rapidapi_secret_arn == "" || can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^:]+$", var.rapidapi_secret_arn))
    error_message = "rapidapi_secret_arn must be a secret's ARN, such as arn:aws:secretsmanager:us-east-1:123456789012:secret:my-api-key-AbCdEf."
  }
  validation {
    condition     = try(length(var.rapidapi_secret_arn), 0) == 0 || try(length(var.rapidapi_ssm_parameter_arn), 0) == 0
    error_message = "name the API key in one place: rapidapi_secret_arn or rapidapi_ssm_parameter_arn."
  }
}

variable "rapidapi_secret_json_key" {
  description = "Where the given secret is JSON, the field with the key. null: the secret is the key alone."
  type        = string
  default     = "api_key"

  validation {
    condition     = var.rapidapi_secret_json_key == null || var.rapidapi_secret_json_key == "" || can(regex("^[A-Za-z0-9_.-]+$", var.rapidapi_secret_json_key))
    error_message = "rapidapi_secret_json_key must be a field's name."
  }
}

variable "rapidapi_ssm_parameter_arn" {
  description = "An SSM parameter that holds the API key already, instead of a secret."
  type        = string
  default     = null

  validation {
    condition     = var.rapidapi_ssm_parameter_arn == null || var.rapidapi_ssm_parameter_arn == "" || can(regex("^arn:aws[a-z-]*:ssm:[a-z0-9-]+:[0-9]{12}:parameter/.+$", var.rapidapi_ssm_parameter_arn))
    error_message = "rapidapi_ssm_parameter_arn must be a parameter's ARN, such as arn:aws:ssm:us-east-1:123456789012:parameter/ncaa/rapidapi_key."
  }
}

variable "rapidapi_kms_key_arn" {
  description = "Where the given secret or parameter is encrypted with a KMS key of yours, that key."
  type        = string
  default     = null

  validation {
    condition     = var.rapidapi_kms_key_arn == null || var.rapidapi_kms_key_arn == "" || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.rapidapi_kms_key_arn))
    error_message = "rapidapi_kms_key_arn must be a key's ARN, such as arn:aws:kms:us-east-1:123456789012:key/…."
  }
}

# ---- What is backed up (docs/settings.md) ---------------------------------------------------------------------------------

variable "league_name" {
  description = "LEAGUE_NAME: the league that is asked for."
  type        = string
  default     = "NCAA"
  nullable    = false

  validation {
    condition     = var.league_name != ""
    error_message = "league_name must not be empty."
  }
}

variable "timezone" {
  description = "TIMEZONE: whose days the partitions are, and whose clock `catch_up_schedule` means (an IANA name)."
  type        = string
  default     = "America/New_York"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z]+([/_+-][A-Za-z0-9_+-]+)*$", var.timezone))
    error_message = "timezone must be an IANA name, such as America/New_York."
  }
}

variable "start_date" {
  description = "START_DATE: the first partition."
  type        = string
  default     = "2024-11-01"
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", var.start_date)) && can(formatdate("YYYY", "${var.start_date}T00:00:00Z"))
    error_message = "start_date must be a date, written as YYYY-MM-DD."
  }
}

variable "lookback_days" {
  description = "LOOKBACK_DAYS: for how many days a day is looked at again."
  type        = number
  default     = 3
  nullable    = false

  validation {
    condition     = var.lookback_days == floor(var.lookback_days) && var.lookback_days >= 1 && var.lookback_days <= 60
    error_message = "lookback_days must be a whole number from 1 to 60."
  }
}

variable "video_count" {
  description = "VIDEO_COUNT: how many of a day's videos are copied and encoded: a number, or all."
  type        = string
  default     = "1"
  nullable    = false

  validation {
    condition     = can(regex("^([1-9][0-9]*|all)$", var.video_count))
    error_message = "video_count must be a whole number from 1, or all."
  }
}

variable "limit" {
  description = "LIMIT: at most so many highlights a day. null: all."
  type        = number
  default     = null

  validation {
    condition     = var.limit == null ? true : var.limit == floor(var.limit) && var.limit >= 1
    error_message = "limit must be a whole number from 1, or null."
  }
}

variable "retry_count" {
  description = "RETRY_COUNT: retries of a request."
  type        = number
  default     = 3
  nullable    = false

  validation {
    condition     = var.retry_count == floor(var.retry_count) && var.retry_count >= 0 && var.retry_count <= 20
    error_message = "retry_count must be a whole number from 0 to 20."
  }
}

variable "retry_delay" {
  description = "RETRY_DELAY: the most seconds between two retries."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.retry_delay >= 0 && var.retry_delay <= 3600
    error_message = "retry_delay must be 0 to 3600 seconds."
  }
}

variable "mediaconvert_role_arn" {
  description = "A role by which MediaConvert reads the copies and writes the encodes. null: one is made."
  type        = string
  default     = null

  validation {
    condition     = var.mediaconvert_role_arn == null || var.mediaconvert_role_arn == "" || can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$", var.mediaconvert_role_arn))
    error_message = "mediaconvert_role_arn must be a role's ARN, such as arn:aws:iam::123456789012:role/mediaconvert."
  }
}

variable "mediaconvert_queue" {
  description = "MEDIACONVERT_QUEUE: the ARN of a queue. null: the account's default."
  type        = string
  default     = null

  validation {
    condition     = var.mediaconvert_queue == null || var.mediaconvert_queue == "" || can(regex("^arn:aws[a-z-]*:mediaconvert:[a-z0-9-]+:[0-9]{12}:queues/.+$", var.mediaconvert_queue))
    error_message = "mediaconvert_queue must be a queue's ARN, such as arn:aws:mediaconvert:us-east-1:123456789012:queues/highlights."
  }
}

variable "mediaconvert_endpoint" {
  description = "MEDIACONVERT_ENDPOINT: an endpoint of the account's own, which is no longer needed. null: the region's."
  type        = string
  default     = null

  validation {
    condition     = var.mediaconvert_endpoint == null || var.mediaconvert_endpoint == "" || can(regex("^https://", var.mediaconvert_endpoint))
    error_message = "mediaconvert_endpoint must begin with https://."
  }
}

variable "settings" {
  description = "Any other of the settings in docs/settings.md, by its name: { ENCODE_TIMEOUT = \"3600\" }."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    # The settings without a variable of their own; ncaa_assets_tests/deployment/test_terraform.py holds the list to the code.
    condition = alltrue([for name in keys(var.settings) : contains([
      "API_BASE", "API_MODULE", "API_URL", "ENCODE", "ENCODE_MINUTES_A_DAY", "ENCODE_TIMEOUT", "MATCHES",
      "QUOTA_RESERVE", "RAPIDAPI_HOST", "UI_HOSTS", "UI_URL", "VIDEO_ALLOW_PRIVATE_HOSTS", "VIDEO_CONCURRENCY", "VIDEO_MAX_BYTES", "VIDEO_MAX_SECONDS",
      "VIDEO_MIN_BYTES_PER_SECOND", "VIDEO_PAGES",
    ], name)])
    error_message = "settings takes only what docs/settings.md names and what has no variable of its own here. A key or a password goes into a secret."
  }
}

# ---- Sizes ----------------------------------------------------------------------------------------------------------------

variable "cpu_architecture" {
  description = "What the image was built for: X86_64 or ARM64 (a fifth cheaper)."
  type        = string
  default     = "X86_64"
  nullable    = false

  validation {
    condition     = contains(["X86_64", "ARM64"], var.cpu_architecture)
    error_message = "cpu_architecture must be X86_64 or ARM64."
  }
}

variable "service_size" {
  description = "CPU units and MiB of the task with code server, webserver and daemon (some 600 MiB are used: docs/rehearsal.md)."
  type        = object({ cpu = number, memory = number })
  default     = { cpu = 512, memory = 1024 }
  nullable    = false

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096], var.service_size.cpu) && var.service_size.memory >= 1024
    error_message = "service_size must be a size that Fargate has, with at least 1024 MiB: { cpu = 512, memory = 1024 }."
  }
}

variable "run_size" {
  description = "CPU units and MiB of a run's task (four large videos at once take some 410 MiB). A single run may take another by its tags ecs/cpu and ecs/memory."
  type        = object({ cpu = number, memory = number })
  default     = { cpu = 512, memory = 1024 }
  nullable    = false

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.run_size.cpu) && var.run_size.memory >= 512
    error_message = "run_size must be a size that Fargate has: { cpu = 512, memory = 1024 }."
  }
}

variable "run_disk_gib" {
  description = "GiB of disk of a run's task, of which 20 cost nothing. ENCODE=needed takes twice VIDEO_MAX_BYTES for each video at a time."
  type        = number
  default     = 20
  nullable    = false

  validation {
    condition     = var.run_disk_gib >= 20 && var.run_disk_gib <= 200 && floor(var.run_disk_gib) == var.run_disk_gib
    error_message = "run_disk_gib must be a whole number of 20 to 200."
  }
}

variable "database_instance_class" {
  description = "The database's size while always_on."
  type        = string
  default     = "db.t4g.micro"
  nullable    = false

  validation {
    condition     = startswith(var.database_instance_class, "db.")
    error_message = "database_instance_class must be an RDS instance class, such as db.t4g.micro."
  }
}

variable "database_storage_gib" {
  description = "The database's disk while always_on; it grows by itself up to five times that."
  type        = number
  default     = 20
  nullable    = false

  validation {
    condition     = var.database_storage_gib >= 20 && var.database_storage_gib <= 1000
    error_message = "database_storage_gib must be 20 to 1000."
  }
}

variable "database_backup_days" {
  description = "For how many days the database's backups are kept. An account on AWS's free plan may be allowed 1 only."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.database_backup_days == floor(var.database_backup_days) && var.database_backup_days >= 1 && var.database_backup_days <= 35
    error_message = "database_backup_days must be a whole number of 1 to 35: Aurora keeps at least a day's, and RDS no more."
  }
}

variable "aurora_max_capacity" {
  description = "The most Aurora capacity units that the database takes while it is awake and not always_on."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.aurora_max_capacity >= 1 && var.aurora_max_capacity <= 8
    error_message = "aurora_max_capacity must be 1 to 8."
  }
}

variable "vpc_cidr" {
  description = "The network's addresses."
  type        = string
  default     = "10.47.0.0/20"
  nullable    = false

  validation {
    condition     = can(cidrsubnet(var.vpc_cidr, 4, 3))
    error_message = "vpc_cidr must be a network that can be divided by 16, such as 10.47.0.0/20."
  }
}

# ---- How long things are kept, and where ----------------------------------------------------------------------------------

variable "log_retention_days" {
  description = "How long logs are kept: CloudWatch's, and Dagster's compute logs in the bucket."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "log_retention_days must be a number of days that CloudWatch has: 1, 3, 5, 7, 14, 30, 60, 90 … 365, 731."
  }
}

variable "old_versions_after_days" {
  description = "After how many days an earlier version of an object goes to old_versions_storage_class. 0: never."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.old_versions_after_days == 0 || var.old_versions_after_days >= 30
    error_message = "old_versions_after_days must be 0, or at least 30: S3 takes nothing into a cheaper class earlier."
  }
}

variable "old_versions_storage_class" {
  description = "The storage class of earlier versions."
  type        = string
  default     = "GLACIER_IR"
  nullable    = false

  validation {
    condition     = contains(["STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"], var.old_versions_storage_class)
    error_message = "old_versions_storage_class must be STANDARD_IA, INTELLIGENT_TIERING, GLACIER_IR, GLACIER or DEEP_ARCHIVE."
  }
}

variable "old_versions_expire_days" {
  description = "After how many days an earlier version is deleted for good. 0: never, so that nothing once backed up is lost."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.old_versions_expire_days == 0 || var.old_versions_expire_days > var.old_versions_after_days
    error_message = "old_versions_expire_days must be 0, or more than old_versions_after_days."
  }
}

variable "old_videos_after_days" {
  description = "After how many days a copied video goes to old_videos_storage_class (what is encoded of it stays where it is). 0: never."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.old_videos_after_days == 0 || var.old_videos_after_days >= 30
    error_message = "old_videos_after_days must be 0, or at least 30: S3 takes nothing into a cheaper class earlier."
  }
}

variable "old_videos_storage_class" {
  description = "The storage class of old videos: one that is read at once, as verifying and restoring do."
  type        = string
  default     = "GLACIER_IR"
  nullable    = false

  validation {
    condition     = contains(["STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR"], var.old_videos_storage_class)
    error_message = "old_videos_storage_class must be STANDARD_IA, INTELLIGENT_TIERING or GLACIER_IR: what has to be thawed first cannot be verified."
  }
}

variable "images_to_keep" {
  description = "How many images the repository keeps: to this many upgrades back you can return."
  type        = number
  default     = 20
  nullable    = false

  validation {
    condition     = var.images_to_keep >= 2 && var.images_to_keep <= 1000
    error_message = "images_to_keep must be 2 to 1000."
  }
}
