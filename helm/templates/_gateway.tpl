{{/* The gateway: its name, its configuration out of gateway/envoy.yaml, and how it reaches the service. */}}

{{- define "invitations.gateway.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "invitations.gateway.labels" -}}
{{ include "invitations.gateway.selector" . }}
{{ include "invitations.release" . }}
{{- end }}

{{/* Secrets that are mounted into its pods: its own certificate, and what a service with TLS wants to see. */}}
{{- define "invitations.gateway.files" -}}
{{- $files := dict }}
{{- with .Values.gateway.tls.secretName }}
{{- $_ := set $files "gateway_certificate" (dict "secretName" . "key" "tls.crt") }}
{{- $_ := set $files "gateway_key" (dict "secretName" . "key" "tls.key") }}
{{- end }}
{{- if include "invitations.tls" . }}
{{- if not .Values.gateway.serviceCa }}
{{- fail "gateway.serviceCa must say whom to trust, as the service has TLS (files.tls_certificate_file)" }}
{{- end }}
{{- $_ := set $files "service_ca" .Values.gateway.serviceCa }}
{{- if hasKey .Values.files "tls_client_ca_file" }}
{{- $_ := set $files "tls_certificate_file" .Values.files.tls_certificate_file }}
{{- $_ := set $files "tls_key_file" .Values.files.tls_key_file }}
{{- end }}
{{- end }}
{{- toYaml $files }}
{{- end }}

{{/* gateway/envoy.yaml with the values of this release, as JSON: helm writes a large number in YAML as 1e+06. */}}
{{- define "invitations.gateway.envoy" -}}
{{- $gateway := .Values.gateway }}
{{- $envoy := .Files.Get "gateway/envoy.yaml" | fromYaml }}
{{- $listener := index $envoy.static_resources.listeners 0 }}
{{- /* IPv6 where the service listens there too */}}
{{- $address := ternary (dict "address" "::" "ipv4_compat" true) (dict "address" "0.0.0.0") (hasPrefix "[" .Values.settings.listen) }}
{{- $_ := set $listener.address "socket_address" (set $address "port_value" 8080) }}
{{- $chain := index $listener.filter_chains 0 }}
{{- if $gateway.tls.secretName }}
{{- $certificate := include "invitations.gateway.sds" "gateway_tls" | fromYaml }}
{{- $tls := dict "alpn_protocols" (list "h2" "http/1.1") "tls_certificate_sds_secret_configs" (list $certificate) }}
{{- $type := "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext" }}
{{- $_ := set $chain "transport_socket" (dict "name" "envoy.transport_sockets.tls" "typed_config" (dict "@type" $type "common_tls_context" $tls)) }}
{{- end }}
{{- $http := (index $chain.filters 0).typed_config }}
{{- $_ := set $http "xff_num_trusted_hops" $gateway.trustedHops }}
{{- $host := index $http.route_config.virtual_hosts 0 }}
{{- $origins := list }}
{{- range $gateway.corsOrigins }}
{{- $origins = append $origins (dict "exact" .) }}
{{- end }}
{{- $_ := set (index $host.typed_per_filter_config "envoy.filters.http.cors") "allow_origin_string_match" $origins }}
{{- range $http.http_filters }}
{{- if eq .name "envoy.filters.http.local_ratelimit" }}
{{- $_ := set .typed_config "token_bucket" (include "invitations.gateway.bucket" $gateway.limits.requestsPerSecond | fromYaml) }}
{{- $_ := set (index .typed_config.descriptors 0) "token_bucket" (include "invitations.gateway.bucket" $gateway.limits.peerRequestsPerSecond | fromYaml) }}
{{- else if eq .name "envoy.filters.http.lua" }}
{{- $_ := set .typed_config "default_source_code" (dict "filename" "/etc/gateway/rest.lua") }}
{{- $_ := set .typed_config "package_paths" (list "/etc/gateway/?.lua") }}
{{- else if eq .name "envoy.filters.http.grpc_json_transcoder" }}
{{- $_ := set .typed_config "proto_descriptor" "/descriptor/descriptor.bin" }}
{{- end }}
{{- end }}
{{- $monitor := index $envoy.overload_manager.resource_monitors 0 }}
{{- $_ := set $monitor.typed_config "max_active_downstream_connections" $gateway.limits.connections }}
{{- $name := printf "%s-pods.%s.svc" .Release.Name .Release.Namespace }}
{{- range $cluster := $envoy.static_resources.clusters }}
{{- $endpoint := index (index $cluster.load_assignment.endpoints 0).lb_endpoints 0 }}
{{- $_ := set $endpoint.endpoint.address "socket_address" (dict "address" $name "port_value" 50051) }}
{{- if include "invitations.tls" $ }}
{{- $trust := include "invitations.gateway.sds" "service_trust" | fromYaml }}
{{- $tls := dict "alpn_protocols" (list "h2") "validation_context_sds_secret_config" $trust }}
{{- if hasKey $.Values.files "tls_client_ca_file" }}
{{- $_ := set $tls "tls_certificate_sds_secret_configs" (list (include "invitations.gateway.sds" "client_tls" | fromYaml)) }}
{{- end }}
{{- $type := "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext" }}
{{- $sni := first (include "invitations.gateway.names" $ | fromYamlArray) }}
{{- $_ := set $cluster "transport_socket" (dict "name" "envoy.transport_sockets.tls" "typed_config" (dict "@type" $type "sni" $sni "common_tls_context" $tls)) }}
{{- end }}
{{- end }}
{{- $_ := set $envoy "node" (dict "id" "gateway" "cluster" .Release.Name) }}
{{- $_ := set $envoy "admin" (dict "address" (dict "socket_address" (dict "address" "127.0.0.1" "port_value" 9901))) }}
{{- toPrettyJson $envoy }}
{{- end }}

{{/* The files of its ConfigMap. */}}
{{- define "invitations.gateway.data" -}}
envoy.json: |-
  {{- include "invitations.gateway.envoy" . | nindent 2 }}
{{- range $path, $_ := .Files.Glob "gateway/*.lua" }}
{{ base $path }}: |-
  {{- $.Files.Get $path | nindent 2 }}
{{- end }}
{{- range $name, $secret := include "invitations.gateway.secrets" . | fromYaml }}
{{ $name }}.json: |-
  {{- toPrettyJson $secret | nindent 2 }}
{{- end }}
{{- end }}

{{/* The name of its ConfigMap: another one for other content, so that no release changes what running pods read. */}}
{{- define "invitations.gateway.configuration" -}}
{{ .Release.Name }}-gateway-{{ include "invitations.gateway.data" . | sha256sum | trunc 10 }}
{{- end }}

{{/* So many per second, and twice as many at once. */}}
{{- define "invitations.gateway.bucket" -}}
{max_tokens: {{ mul 2 . }}, tokens_per_fill: {{ . }}, fill_interval: 1s}
{{- end }}

{{/* The names of which one has to stand in the service's certificate. */}}
{{- define "invitations.gateway.names" -}}
{{- .Values.gateway.serviceNames | default (list (printf "%s.%s.svc" .Release.Name .Release.Namespace)) | toYaml }}
{{- end }}

{{/* Certificates and whom to trust, each in a file beside envoy.json: in envoy.json itself they would be read only once. */}}
{{- define "invitations.gateway.secrets" -}}
{{- $secrets := dict }}
{{- if .Values.gateway.tls.secretName }}
{{- $_ := set $secrets "gateway_tls" (include "invitations.gateway.certificate" (list "gateway_certificate" "gateway_key") | fromYaml) }}
{{- end }}
{{- if include "invitations.tls" . }}
{{- $names := list }}
{{- range include "invitations.gateway.names" . | fromYamlArray }}
{{- $names = append $names (dict "san_type" "DNS" "matcher" (dict "exact" .)) }}
{{- end }}
{{- $folder := "/etc/invitations" }}
{{- $trust := dict "trusted_ca" (dict "filename" (print $folder "/service_ca")) "watched_directory" (dict "path" $folder) }}
{{- $_ := set $secrets "service_trust" (dict "validation_context" (set $trust "match_typed_subject_alt_names" $names)) }}
{{- if hasKey .Values.files "tls_client_ca_file" }}
{{- $_ := set $secrets "client_tls" (include "invitations.gateway.certificate" (list "tls_certificate_file" "tls_key_file") | fromYaml) }}
{{- end }}
{{- end }}
{{- range $name, $secret := $secrets }}
{{- $_ := set $secret "name" $name }}
{{- $_ := set $secret "@type" "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret" }}
{{- $_ := set $secrets $name (dict "resources" (list $secret)) }}
{{- end }}
{{- toYaml $secrets }}
{{- end }}

{{/* A certificate and its key among the mounted files, taken anew when they change. */}}
{{- define "invitations.gateway.certificate" -}}
{{- $folder := "/etc/invitations" }}
tls_certificate:
  certificate_chain: {filename: {{ $folder }}/{{ index . 0 }}}
  private_key: {filename: {{ $folder }}/{{ index . 1 }}}
  watched_directory: {path: {{ $folder }}}
{{- end }}

{{/* Where Envoy finds the secret of this name. */}}
{{- define "invitations.gateway.sds" -}}
name: {{ . }}
sds_config:
  resource_api_version: V3
  path_config_source: {path: /etc/gateway/{{ . }}.json}
{{- end }}
