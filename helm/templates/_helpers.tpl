{{/* What the Deployment and the migration Job have in common. */}}

{{- define "invitations.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "invitations.labels" -}}
{{ include "invitations.selector" . }}
{{ include "invitations.release" . }}
{{- end }}

{{/* What changes with a release, so no selector may have it. */}}
{{- define "invitations.release" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The settings as a map of environment variables: a text as it is, anything else as JSON. */}}
{{- define "invitations.settings" -}}
{{- $env := dict }}
{{- range $name, $value := .Values.settings }}
{{- $_ := set $env (printf "INVITATIONS_%s" (upper $name)) (kindIs "string" $value | ternary $value (toRawJson $value)) }}
{{- end }}
{{- toYaml $env }}
{{- end }}

{{/* One variable of a container. Kubernetes makes one $ of $$, and a value of another variable of $(…). */}}
{{- define "invitations.variable" -}}
- {name: {{ index . 0 }}, value: {{ index . 1 | replace "$" "$$" | toRawJson }}}
{{- end }}

{{/* The environment of `serve`, and of `check-config` that looks at the same. All of it is written out here and nothing
taken from a ConfigMap: that would change under the pods of the release before. */}}
{{- define "invitations.serviceEnv" -}}
{{- range $name, $value := include "invitations.settings" . | fromYaml }}
{{ include "invitations.variable" (list $name $value) }}
{{- end }}
{{- range $name, $_ := .Values.secrets }}
- {name: INVITATIONS_{{ upper $name }}_FILE, value: /etc/invitations/{{ $name }}}
{{- end }}
{{- range $name, $_ := .Values.files }}
- {name: INVITATIONS_{{ upper $name }}, value: /etc/invitations/{{ $name }}}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The files that `serve` and `check-config` read, by their names in /etc/invitations. Secrets are files too: a line end
after the value does no harm there, and a changed database_url is read anew. */}}
{{- define "invitations.serviceFiles" -}}
{{- $database := dict "database_url" (include "invitations.databaseUrl" . | fromYaml) }}
{{- merge $database .Values.secrets .Values.files .Values.mounts | toYaml }}
{{- end }}

{{- define "invitations.databaseUrl" -}}
{{- $trial := dict "secretName" (printf "%s-postgresql" .Release.Name) "key" "database_url" }}
{{- ternary $trial .Values.secrets.database_url .Values.postgresql.trial | toYaml }}
{{- end }}

{{/* A volume of files out of Secrets and ConfigMaps: its name, and a map of names in it. */}}
{{- define "invitations.volume" -}}
- name: {{ index . 0 }}
  projected:
    defaultMode: 0440
    sources:
      {{- range $name, $from := index . 1 }}
      - {{ hasKey $from "configMapName" | ternary "configMap" "secret" }}:
          name: {{ $from.configMapName | default $from.secretName | quote }}
          items: [{key: {{ $from.key | quote }}, path: {{ $name | quote }}}]
      {{- else }} []
      {{- end }}
{{- end }}

{{/* Pod level, of all pods: no identity in the cluster, no root, and where it may run. enableServiceLinks would inject
INVITATIONS_… variables of its own. Ends with the list of volumes, so that more may follow. */}}
{{- define "invitations.pod" -}}
enableServiceLinks: false
{{- $values := pick .root.Values "imagePullSecrets" "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
{{- range $name, $value := set $values "securityContext" .root.Values.podSecurityContext }}
{{- if $value }}
{{ $name }}: {{ toRawJson $value }}
{{- end }}
{{- end }}
volumes:
  {{- include "invitations.volume" (list "files" .files) | nindent 2 }}
{{- end }}

{{/* Fails where the way out may be longer than the grace period: after the two settings, cutting connections off and
finishing take 11 s at most, and the end of the process a moment. */}}
{{- define "invitations.grace" -}}
{{- $settings := .Values.settings }}
{{- $delay := hasKey $settings "endpoint_delay_seconds" | ternary $settings.endpoint_delay_seconds 5 }}
{{- $drain := hasKey $settings "drain_timeout_seconds" | ternary $settings.drain_timeout_seconds 20 }}
{{- $wayOut := add $delay $drain 13 }}
{{- if lt (int .Values.terminationGracePeriodSeconds) (int $wayOut) }}
{{- fail (printf "terminationGracePeriodSeconds must be at least %d: endpoint_delay_seconds + drain_timeout_seconds + 13" (int $wayOut)) }}
{{- end }}
{{- .Values.terminationGracePeriodSeconds }}
{{- end }}

{{/* Container level: the service's image without rights. */}}
{{- define "invitations.image" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- include "invitations.restricted" . }}
resources: {{- toYaml .Values.resources | nindent 2 }}
{{- end }}

{{- define "invitations.restricted" }}
{{- with .Values.securityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* `migrate`. It owns the tables, so it is given the database and nothing else: no key, no password of the mail server,
and only the settings that it reads. */}}
{{- define "invitations.migrate" -}}
- name: migrate
  args: [migrate]
  {{- include "invitations.image" .root | nindent 2 }}
  volumeMounts:
    - {name: {{ .files }}, mountPath: /etc/invitations, readOnly: true}
  env:
    {{- range $name, $value := include "invitations.settings" .root | fromYaml }}
    {{- if regexMatch "^INVITATIONS_(DATABASE_.*|EVENTS_RETENTION_DAYS|LOG_.*)$" $name }}
    {{- include "invitations.variable" (list $name $value) | nindent 4 }}
    {{- end }}
    {{- end }}
    - {name: INVITATIONS_DATABASE_URL_FILE, value: /etc/invitations/database_url}
{{- end }}

{{- define "invitations.migrationFiles" -}}
{{- $url := .Values.migration.secrets.database_url | default (include "invitations.databaseUrl" . | fromYaml) }}
{{- merge (dict "database_url" $url) .Values.migration.mounts | toYaml }}
{{- end }}

{{/* Whether the service has TLS. */}}
{{- define "invitations.tls" -}}
{{- if hasKey .Values.files "tls_certificate_file" }}true{{ end }}
{{- end }}

{{/* What gateways and meshes speak to the pods. */}}
{{- define "invitations.appProtocol" -}}
appProtocol: {{ ternary "https" "kubernetes.io/h2c" (eq (include "invitations.tls" .) "true") }}
{{- end }}

{{- define "invitations.families" -}}
{{- with .Values.service.ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.service.ipFamilies }}
ipFamilies: {{ toRawJson . }}
{{- end }}
{{- end }}

{{/* The port for probes and Prometheus, which has no TLS whatever the other one has. */}}
{{- define "invitations.adminPort" -}}
{{ regexFind "[0-9]+$" .Values.settings.admin_listen }}
{{- end }}

{{/* Fails where values do not go together. */}}
{{- define "invitations.check" -}}
{{- range $name, $_ := .Values.settings }}
{{- if or (hasKey $.Values.files $name) (hasKey $.Values.secrets $name) }}
{{- fail (printf "%s is in `settings` and in `files` or `secrets`: name it once" $name) }}
{{- end }}
{{- end }}
{{- range list "tls_certificate_file" "tls_key_file" "tls_client_ca_file" }}
{{- if hasKey $.Values.settings . }}
{{- fail (printf "%s belongs below `files`: probes, Services and the gateway follow it there" .) }}
{{- end }}
{{- end }}
{{- range $name, $_ := .Values.files }}
{{- if hasKey $.Values.secrets $name }}
{{- fail (printf "%s is in `files` and in `secrets`: name it once" $name) }}
{{- end }}
{{- end }}
{{- range $name, $_ := .Values.mounts }}
{{- if or (hasKey $.Values.files $name) (hasKey $.Values.secrets $name) }}
{{- fail (printf "mounts.%s has the name of a file that is there already: choose another" $name) }}
{{- end }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
{{- fail "ingress.host must be the name by which callers reach the ingress" }}
{{- end }}
{{- if and .Values.grpcRoute.enabled (not .Values.grpcRoute.parentRefs) }}
{{- fail "grpcRoute.parentRefs must name the Gateway: [{name: public, namespace: gateways}]" }}
{{- end }}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
{{- fail "autoscaling.minReplicas must not be more than autoscaling.maxReplicas" }}
{{- end }}
{{- if hasKey .Values.migration.mounts "database_url" }}
{{- fail "migration.mounts.database_url has the name of a file that is there already: choose another" }}
{{- end }}
{{- if and .Values.postgresql.trial .Values.migration.secrets }}
{{- fail "postgresql.trial has one user only: leave migration.secrets empty" }}
{{- end }}
{{- end }}
