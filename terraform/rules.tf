# What variables.tf judges by at plan, so that nothing is made of a value that AWS or the code would refuse later. The rules
# read variables alone: ncaa_assets_tests/deployment/test_judged_at_plan.py tries each without AWS, and holds those that
# ncaa_assets/settings.py has too to it.

locals {
  # ---- Where everything is -------------------------------------------------------------------------------------------------

  # What a region's name begins with, where it is in another partition than `aws`.
  partitions = { cn = "aws-cn", us-gov = "aws-us-gov", us-iso = "aws-iso", us-isob = "aws-iso-b", eu-isoe = "aws-iso-e", us-isof = "aws-iso-f", eusc = "aws-eusc" }

  partition_of_region = concat([for start, name in local.partitions : name if startswith(var.aws_region, "${start}-")], ["aws"])[0]

  # Where Dagster's compute logs lie in the bucket; they expire.
  logs_prefix = "dagster-logs/"

  # ---- Sizes ---------------------------------------------------------------------------------------------------------------

  # MiB by CPU units (ECS developer guide, "Task size").
  fargate_mib = tomap({
    256   = [512, 1024, 2048]
    512   = range(1024, 4097, 1024)
    1024  = range(2048, 8193, 1024)
    2048  = range(4096, 16385, 1024)
    4096  = range(8192, 30721, 1024)
    8192  = range(16384, 61441, 4096)
    16384 = range(32768, 122881, 8192)
  })
  fargate_sizes = join("; ", [
    for cpu in ["256", "512", "1024", "2048", "4096", "8192", "16384"] :
    "cpu = ${cpu} with memory = ${join(", ", slice(local.fargate_mib[cpu], 0, 2))} … ${reverse(local.fargate_mib[cpu])[0]}"
  ])

  # ---- Times ---------------------------------------------------------------------------------------------------------------

  # IANA's names, as the Python package tzdata has them.
  timezones = regexall("\\S+", file("${path.module}/timezones.txt"))

  # The fields of an EventBridge Scheduler cron expression: a list of values, ranges and steps, or what a field has besides.
  cron_values = {
    minutes = "[0-5]?[0-9]"
    hours   = "(?:[01]?[0-9]|2[0-3])"
    days    = "(?:0?[1-9]|[12][0-9]|3[01])"
    months  = "(?:0?[1-9]|1[0-2]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)"
    weekday = "(?:[1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)"
    years   = "(?:19[7-9][0-9]|20[0-9]{2}|21[0-9]{2})"
  }
  cron_lists = { for field, value in local.cron_values :
    field => replace("(?:\\*|V(?:-V)?)(?:/[1-9][0-9]*)?(?:,V(?:-V)?(?:/[1-9][0-9]*)?)*", "V", value)
  }
  # Of day of month and day of week one is said, and the other is "?".
  cron = format("^cron\\(%s %s (?:%s %s \\?|\\? %s %s) %s\\)$",
    local.cron_lists.minutes, local.cron_lists.hours,
    "(?:${local.cron_lists.days}|L|LW|${local.cron_values.days}W)", local.cron_lists.months,
    local.cron_lists.months, "(?:${local.cron_lists.weekday}|L|${local.cron_values.weekday}(?:L|#[1-5]))",
    local.cron_lists.years,
  )

  # ---- Settings without a variable of their own -----------------------------------------------------------------------------

  whole_from_1 = { pattern = "0*[1-9][0-9]*", must = "be a whole number from 1" }
  whole_from_0 = { pattern = "[0-9]+", must = "be a whole number from 0" }
  yes_or_no    = { pattern = "(?i:0|1|t|true|f|false|y|yes|n|no|on|off)", must = "be 1 or 0" }
  address = {
    pattern = "(?i:https?)://[A-Za-z0-9._-]+(?::0*(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(?:/[^?#[:space:]]*)?"
    must    = "be a bare http or https address, without user name, password, query or fragment, such as https://api.example.com/v2"
  }

  # What each must be, of ncaa_assets/settings.py. What is empty is unset.
  setting_rules = tomap({
    API_BASE                   = local.address
    API_MODULE                 = { pattern = "[A-Za-z][A-Za-z0-9-]{0,39}", must = "be a module's name such as nba, basketball or american-football, or auto" }
    API_URL                    = local.address
    ENCODE                     = { pattern = "always|needed|never", must = "be always, needed or never" }
    ENCODE_MINUTES_A_DAY       = local.whole_from_1
    ENCODE_TIMEOUT             = local.whole_from_1
    MATCHES                    = local.yes_or_no
    QUOTA_RESERVE              = local.whole_from_0
    RAPIDAPI_HOST              = { pattern = "[A-Za-z0-9.-]+(?::[0-9]+)?", must = "be a host name alone, such as sport-highlights-api.p.rapidapi.com" }
    UI_HOSTS                   = { pattern = ".*", must = "be names or addresses of hosts, with commas between them and without http://, port or *: dagster.example.org,192.168.1.20" }
    UI_URL                     = local.address
    VIDEO_ALLOW_PRIVATE_HOSTS  = local.yes_or_no
    VIDEO_CONCURRENCY          = { pattern = "0*(?:[1-9]|[1-5][0-9]|6[0-4])", must = "be a whole number from 1 to 64" }
    VIDEO_MAX_BYTES            = local.whole_from_1
    VIDEO_MAX_SECONDS          = local.whole_from_1
    VIDEO_MIN_BYTES_PER_SECOND = local.whole_from_0
    VIDEO_PAGES                = { pattern = "", must = "be left out: the image has no yt-dlp, which copies the videos of web pages (docs/videos.md says how a machine of yours does)" }
  })
}
