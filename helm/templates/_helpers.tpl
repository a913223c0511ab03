{{/* What the Deployment and the migration Job have in common. */}}

{{- define "invitations.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "invitations.labels" -}}
{{ include "invitations.selector" . }}
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

{{/* Environment variables that are Secrets or point at mounted ones: of `secrets` and `files`. */}}
{{- define "invitations.secretEnv" -}}
{{- range $name, $from := .secrets }}
- name: INVITATIONS_{{ upper $name }}
  valueFrom:
    secretKeyRef: {name: {{ $from.secretName | quote }}, key: {{ $from.key | quote }}}
{{- end }}
{{- range $name, $_ := .files }}
- name: INVITATIONS_{{ upper $name }}
  value: /etc/invitations/{{ $name }}
{{- end }}
{{- end }}

{{/* Pod level: no identity in the cluster, no root. enableServiceLinks would inject INVITATIONS_… variables of its own.
Mounts `files`, each a Secret and a key. */}}
{{- define "invitations.pod" -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  # so that the mounted files can be read by this user and nobody else
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: files
    projected:
      defaultMode: 0440
      sources:
        {{- range $name, $from := .files }}
        - secret:
            name: {{ $from.secretName | quote }}
            items: [{key: {{ $from.key | quote }}, path: {{ $name }}}]
        {{- else }} []
        {{- end }}
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

{{/* Container level: the service's image without rights, and with the mounted files. */}}
{{- define "invitations.container" -}}
{{ include "invitations.image" . }}
volumeMounts:
  - {name: files, mountPath: /etc/invitations, readOnly: true}
{{- end }}

{{- define "invitations.image" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{- toYaml .Values.resources | nindent 2 }}
{{- end }}

{{/* Asks the health service. Kubernetes' own gRPC probe speaks no TLS, so with TLS the binary asks itself; where clients
need a certificate it shows the server's own one, which therefore has to come from `tls_client_ca_file`. */}}
{{- define "invitations.probe" -}}
{{- $files := (index . 0).Values.files }}
{{- if hasKey $files "tls_certificate_file" -}}
exec:
  command:
    - /invitations
    - probe
    - --service={{ index . 1 }}
    - --tls
    {{- if hasKey $files "tls_client_ca_file" }}
    - --tls-certificate-file=/etc/invitations/tls_certificate_file
    - --tls-key-file=/etc/invitations/tls_key_file
    {{- end }}
{{- else -}}
grpc: {port: 50051, service: {{ index . 1 | quote }}}
{{- end }}
{{- end }}
