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
    condition     = can(regex("^(af|ap|ca|cn|eu|eusc|il|me|mx|sa|us)(-[a-z]+)+-[1-9][0-9]?$", var.aws_region))
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
  validation {
    condition     = var.project_name != "default" && !startswith("${var.project_name}-", "sg-")
    error_message = "project_name must be another one: RDS has a subnet group default of its own, and no security group's name may begin with sg-."
  }
  validation {
    condition     = try(length(var.s3_bucket_name), 0) > 0 || !can(regex("^(sthree|amzn-s3-demo)-", "${var.project_name}-"))
    error_message = "project_name begins the bucket's name, and S3 keeps names that begin with sthree- or amzn-s3-demo- to itself: choose another, or give s3_bucket_name."
  }
}

variable "tags" {
  description = "Tags on everything, besides Project and ManagedBy."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name, value in var.tags : can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{1,128}$", name)) && can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{0,256}$", value))])
    error_message = "tags must have names of 1 to 128 and values of at most 256 letters, digits, spaces and _ . : / = + - @."
  }
  validation {
    condition     = alltrue([for text in concat(keys(var.tags), values(var.tags)) : !can(regex("^(?i:aws|rds):", text))])
    error_message = "tags must not begin with aws: or rds:, in small letters or capitals: AWS keeps those to itself."
  }
  validation {
    condition     = length(distinct([for name in concat(keys(var.tags), ["Project", "ManagedBy"]) : lower(name)])) == length(setunion(keys(var.tags), ["Project", "ManagedBy"]))
    error_message = "tags must have names that differ in more than capitals, from each other and from Project and ManagedBy, which everything has: IAM takes such names for one."
  }
  validation {
    condition     = length(setunion(keys(var.tags), ["Project", "ManagedBy", "Name"])) <= 50
    error_message = "tags must be at most 47: AWS takes 50, of which Project, ManagedBy and Name are there already."
  }
}

variable "s3_bucket_name" {
  description = "The archive's bucket, which is made. null: project_name, the account's number and the region."
  type        = string
  default     = null

  validation {
    condition     = var.s3_bucket_name == null || var.s3_bucket_name == "" || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.s3_bucket_name))
    error_message = "s3_bucket_name must be 3 to 63 small letters, digits and hyphens, none of these at an end (dots break TLS)."
  }
  validation {
    condition     = !can(regex("^(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|--x-s3|--table-s3|-an)$", var.s3_bucket_name))
    error_message = "s3_bucket_name must not begin with xn--, sthree- or amzn-s3-demo- nor end with -s3alias, --ol-s3, --x-s3, --table-s3 or -an: S3 keeps such names to itself."
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
  validation {
    condition     = try(length(var.s3_prefix), 0) <= 200
    error_message = "s3_prefix must have at most 200 characters: S3 takes keys of 1024, and the archive's own come behind it."
  }
  validation {
    condition     = !startswith("${coalesce(var.s3_prefix, "-")}/", local.logs_prefix)
    error_message = "s3_prefix must lie outside of ${local.logs_prefix}, where Dagster's logs expire after log_retention_days: the archive would go with them."
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
    condition     = var.ecr_repository_name == null || var.ecr_repository_name == "" || can(regex("^[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*$", var.ecr_repository_name)) && can(regex("^.{2,256}$", var.ecr_repository_name))
    error_message = "ecr_repository_name must be 2 to 256 small letters and digits, with single . _ / or hyphens between them, such as backups/ncaa."
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
    condition     = can(regex(local.cron, var.catch_up_schedule)) && length(var.catch_up_schedule) <= 256
    error_message = "catch_up_schedule must be an EventBridge cron expression: minutes, hours, day of month, month, day of week and year, one of the two days a question mark, names in capitals, such as cron(0 9 * * ? *)."
  }
}

variable "alert_emails" {
  description = "Who is told of failures. AWS asks each by mail to confirm."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for address in var.alert_emails :
      can(regex("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])$", address)) && can(regex("^[^@]{1,64}@.{1,255}$", address))
    ])
    error_message = "alert_emails must be mail addresses alone, such as you@example.com, each in quotes of its own."
  }
}

# ---- The API key: a secret that is made here, or one that is there already ------------------------------------------------

variable "rapidapi_secret_arn" {
  description = "A Secrets Manager secret that holds the API key already. null: one is made, and you put the key into it."
  type        = string
  default     = null

  validation {
    condition     = var.rapidapi_secret_arn == null || var.rapidapi_secret_arn == "" || can(regex("^arn:${local.partition_of_region}:secretsmanager:${var.aws_region}:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}$", var.rapidapi_secret_arn))
    error_message = "rapidapi_secret_arn must be the whole ARN of a secret in ${var.aws_region}, with the six characters that AWS put behind its name, such as arn:${local.partition_of_region}:secretsmanager:${var.aws_region}:123456789012:secret:my-api-key-AbCdEf."
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
    condition     = var.rapidapi_ssm_parameter_arn == null || var.rapidapi_ssm_parameter_arn == "" || can(regex("^arn:${local.partition_of_region}:ssm:${var.aws_region}:[0-9]{12}:parameter(/[A-Za-z0-9_.-]+)+$", var.rapidapi_ssm_parameter_arn))
    error_message = "rapidapi_ssm_parameter_arn must be the ARN of a parameter in ${var.aws_region}, such as arn:${local.partition_of_region}:ssm:${var.aws_region}:123456789012:parameter/ncaa/rapidapi_key."
  }
}

variable "rapidapi_kms_key_arn" {
  description = "Where the given secret or parameter is encrypted with a KMS key of yours, that key."
  type        = string
  default     = null

  validation {
    condition     = var.rapidapi_kms_key_arn == null || var.rapidapi_kms_key_arn == "" || can(regex("^arn:${local.partition_of_region}:kms:${var.aws_region}:[0-9]{12}:key/(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$", var.rapidapi_kms_key_arn))
    error_message = "rapidapi_kms_key_arn must be the ARN of a key in ${var.aws_region}, not of an alias, such as arn:${local.partition_of_region}:kms:${var.aws_region}:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab."
  }
}

# ---- What is backed up (docs/settings.md) ---------------------------------------------------------------------------------

variable "league_name" {
  description = "LEAGUE_NAME: the league that is asked for."
  type        = string
  default     = "NCAA"
  nullable    = false

  validation {
    condition     = trimspace(var.league_name) != ""
    error_message = "league_name must not be empty."
  }
}

variable "timezone" {
  description = "TIMEZONE: whose days the partitions are, and whose clock `catch_up_schedule` means (an IANA name)."
  type        = string
  default     = "America/New_York"
  nullable    = false

  validation {
    condition     = contains(local.timezones, var.timezone)
    error_message = "timezone must be an IANA name that terraform/timezones.txt has, such as America/New_York or UTC."
  }
}

variable "start_date" {
  description = "START_DATE: the first partition."
  type        = string
  default     = "2024-11-01"
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", var.start_date)) && can(formatdate("YYYY", "${var.start_date}T00:00:00Z")) && !startswith(var.start_date, "0000")
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
    condition     = can(regex("^(0*[1-9][0-9]*|(?i:all))$", trimspace(var.video_count))) && length(trimspace(var.video_count)) <= 9
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
    condition     = var.mediaconvert_role_arn == null || var.mediaconvert_role_arn == "" || can(regex("^arn:${local.partition_of_region}:iam::[0-9]{12}:role/([!-~]+/)?[A-Za-z0-9_+=,.@-]{1,64}$", var.mediaconvert_role_arn))
    error_message = "mediaconvert_role_arn must be a role's ARN, such as arn:${local.partition_of_region}:iam::123456789012:role/mediaconvert."
  }
}

variable "mediaconvert_queue" {
  description = "MEDIACONVERT_QUEUE: the ARN of a queue. null: the account's default."
  type        = string
  default     = null

  validation {
    condition     = var.mediaconvert_queue == null || var.mediaconvert_queue == "" || can(regex("^arn:${local.partition_of_region}:mediaconvert:${var.aws_region}:[0-9]{12}:queues/[A-Za-z0-9_-]+$", var.mediaconvert_queue))
    error_message = "mediaconvert_queue must be the ARN of a queue in ${var.aws_region}, such as arn:${local.partition_of_region}:mediaconvert:${var.aws_region}:123456789012:queues/highlights."
  }
}

variable "mediaconvert_endpoint" {
  description = "MEDIACONVERT_ENDPOINT: an endpoint of the account's own, which is no longer needed. null: the region's."
  type        = string
  default     = null

  validation {
    condition     = var.mediaconvert_endpoint == null || var.mediaconvert_endpoint == "" || can(regex("^https://[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)+(:[0-9]{1,5})?/?$", var.mediaconvert_endpoint))
    error_message = "mediaconvert_endpoint must be https:// and a host, such as https://abcd1234.mediaconvert.us-east-1.amazonaws.com, or null."
  }
}

variable "settings" {
  description = "Any other of the settings in docs/settings.md, by its name: { ENCODE_TIMEOUT = \"3600\" }."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.settings) : contains(keys(local.setting_rules), name)])
    error_message = "settings takes only what docs/settings.md names and what has no variable of its own here: ${join(", ", keys(local.setting_rules))}. A key or a password goes into a secret."
  }
  validation {
    condition = alltrue([
      for name, value in var.settings : can(regex("^(?:${try(local.setting_rules[name].pattern, ".*")})?$", trimspace(coalesce(value, " "))))
    ])
    error_message = join(" ", [
      for name, value in var.settings : "settings: ${name} must ${local.setting_rules[name].must}."
      if !can(regex("^(?:${try(local.setting_rules[name].pattern, ".*")})?$", trimspace(coalesce(value, " "))))
    ])
  }
  validation {
    condition = alltrue([
      for host in split(",", trimspace(coalesce(lookup(var.settings, "UI_HOSTS", null), "localhost"))) :
      can(regex("^[a-z0-9_-]+(\\.[a-z0-9_-]+)*$", lower(trimspace(host)))) ||
      can(cidrhost("${trimsuffix(trimprefix(trimspace(host), "["), "]")}/128", 0))
    ])
    error_message = "settings: UI_HOSTS must ${local.setting_rules.UI_HOSTS.must}."
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
    condition     = try(contains(local.fargate_mib[tostring(var.service_size.cpu)], var.service_size.memory) && var.service_size.memory >= 1024, false)
    error_message = "service_size must be a size that Fargate has, with at least 1024 MiB: ${local.fargate_sizes}."
  }
}

variable "run_size" {
  description = "CPU units and MiB of a run's task (four large videos at once take some 410 MiB). A single run may take another by its tags ecs/cpu and ecs/memory."
  type        = object({ cpu = number, memory = number })
  default     = { cpu = 512, memory = 1024 }
  nullable    = false

  validation {
    condition     = try(contains(local.fargate_mib[tostring(var.run_size.cpu)], var.run_size.memory), false)
    error_message = "run_size must be a size that Fargate has: ${local.fargate_sizes}."
  }
}

variable "run_disk_gib" {
  description = "GiB of disk of a run's task, of which 20 cost nothing. ENCODE=needed takes twice VIDEO_MAX_BYTES for each video at a time."
  type        = number
  default     = 20
  nullable    = false

  validation {
    condition     = var.run_disk_gib == floor(var.run_disk_gib) && var.run_disk_gib >= 20 && var.run_disk_gib <= 200
    error_message = "run_disk_gib must be a whole number of 20 to 200."
  }
}

variable "database_instance_class" {
  description = "The database's size while always_on."
  type        = string
  default     = "db.t4g.micro"
  nullable    = false

  validation {
    condition     = can(regex("^db\\.((t3|t4g)\\.(micro|small|medium|large|xlarge|2xlarge)|([mr]([5-9]|[1-9][0-9])[a-z]{0,4}|x2[a-z]{1,4}|z1d|c6gd)\\.(medium|large|[0-9]{0,2}xlarge|metal))$", var.database_instance_class))
    error_message = "database_instance_class must be an RDS instance class for Postgres of a present generation, such as db.t4g.micro or db.m7g.large."
  }
}

variable "database_storage_gib" {
  description = "The database's disk while always_on; it grows by itself up to five times that."
  type        = number
  default     = 20
  nullable    = false

  validation {
    condition     = var.database_storage_gib == floor(var.database_storage_gib) && var.database_storage_gib >= 20 && var.database_storage_gib <= 1000
    error_message = "database_storage_gib must be a whole number of 20 to 1000."
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
    condition     = var.aurora_max_capacity * 2 == floor(var.aurora_max_capacity * 2) && var.aurora_max_capacity >= 1 && var.aurora_max_capacity <= 256
    error_message = "aurora_max_capacity must be 1 to 256 in steps of a half, such as 1.5."
  }
}

variable "vpc_cidr" {
  description = "The network's addresses."
  type        = string
  default     = "10.47.0.0/20"
  nullable    = false

  validation {
    condition     = can(regex("^(10|172\\.(1[6-9]|2[0-9]|3[01])|192\\.168|100\\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7]))\\..*/(1[6-9]|2[0-4])$", var.vpc_cidr)) && try(cidrsubnet(var.vpc_cidr, 0, 0) == var.vpc_cidr, false)
    error_message = "vpc_cidr must be a private IPv4 network of /16 to /24, written by its first address, such as 10.47.0.0/20: a sixteenth of it is a subnet, and AWS has none smaller than /28."
  }
}

# ---- How long things are kept, and where ----------------------------------------------------------------------------------

variable "log_retention_days" {
  description = "How long logs are kept: CloudWatch's, and Dagster's compute logs in the bucket."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a number of days that CloudWatch has: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "old_versions_after_days" {
  description = "After how many days an earlier version of an object goes to old_versions_storage_class. 0: never."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.old_versions_after_days == floor(var.old_versions_after_days) && (var.old_versions_after_days == 0 || var.old_versions_after_days >= 30) && var.old_versions_after_days <= 36500
    error_message = "old_versions_after_days must be 0, or a whole number of 30 to 36500: S3 takes nothing into a cheaper class earlier."
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
    condition     = var.old_versions_expire_days == floor(var.old_versions_expire_days) && (var.old_versions_expire_days == 0 || var.old_versions_expire_days > var.old_versions_after_days) && var.old_versions_expire_days >= 0 && var.old_versions_expire_days <= 36500
    error_message = "old_versions_expire_days must be 0, or a whole number that is more than old_versions_after_days, up to 36500."
  }
}

variable "old_videos_after_days" {
  description = "After how many days a copied video goes to old_videos_storage_class (what is encoded of it stays where it is). 0: never."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.old_videos_after_days == floor(var.old_videos_after_days) && (var.old_videos_after_days == 0 || var.old_videos_after_days >= 30) && var.old_videos_after_days <= 36500
    error_message = "old_videos_after_days must be 0, or a whole number of 30 to 36500: S3 takes nothing into a cheaper class earlier."
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
    condition     = var.images_to_keep == floor(var.images_to_keep) && var.images_to_keep >= 2 && var.images_to_keep <= 1000
    error_message = "images_to_keep must be a whole number of 2 to 1000."
  }
}
