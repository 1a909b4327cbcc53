{{- define "assay.selectorLabels" -}}
app.kubernetes.io/name: assay
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "assay.labels" -}}
{{ include "assay.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: assay
{{- with .Values.webhook.customLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* The metadata that every object has, for a dict of root and name. */ -}}
{{- define "assay.metadata" -}}
name: {{ .name }}
labels:
  {{- include "assay.labels" .root | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge dict (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "assay.serviceAccount" -}}
{{- if .Values.webhook.serviceAccount.create }}
{{- .Values.webhook.serviceAccount.name | default "assay" }}
{{- else }}
{{- required "webhook.serviceAccount.name: got none, want that of the ServiceAccount which webhook.serviceAccount.create=false leaves to you" .Values.webhook.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "assay.image" -}}
{{- $version := .Values.webhook.image.version | default .Chart.AppVersion }}
{{- .Values.webhook.image.repository }}{{ hasPrefix "sha256:" $version | ternary "@" ":" }}{{ $version }}
{{- end }}

{{- /* How long the webhooks of workloads and of policies wait, as JSON. */ -}}
{{- define "assay.timeouts" -}}
{{- $all := .Values.timeoutSeconds }}
{{- dict
  "mutating" (.Values.cosign.webhookTimeoutSeconds.mutating | default $all)
  "validating" (.Values.cosign.webhookTimeoutSeconds.validating | default $all)
  "policyDefaulting" (.Values.webhook.webhookTimeoutSeconds.defaulting | default $all)
  "policyValidating" (.Values.webhook.webhookTimeoutSeconds.validating | default $all) | toJson }}
{{- end }}

{{- /* --timeout: of the longest. The API server says in each request how long it waits, and less counts. */ -}}
{{- define "assay.timeout" -}}
{{- $longest := 0 }}
{{- range include "assay.timeouts" . | fromJson }}{{ $longest = max $longest (int .) }}{{ end }}
{{- $longest }}s
{{- end }}

{{- /* Which namespaces are covered, as the operator says it. */ -}}
{{- define "assay.covered" -}}
{{- if .Values.webhook.namespaceSelector }}
{{- toJson .Values.webhook.namespaceSelector }}
{{- else if eq .Values.namespaces.mode "opt-in" }}
{{- dict "matchExpressions" (list (dict "key" "policy.sigstore.dev/include" "operator" "In" "values" (list "true"))) | toJson }}
{{- else }}
{{- dict "matchExpressions" (list (dict "key" "policy.sigstore.dev/exclude" "operator" "DoesNotExist")) | toJson }}
{{- end }}
{{- end }}

{{- /* The one namespaceSelector of both webhooks: what is covered, but for those without which nothing starts. */ -}}
{{- define "assay.namespaceSelector" -}}
{{- $covered := include "assay.covered" . | fromJson }}
{{- with $covered.matchLabels }}
matchLabels:
  {{- toYaml . | nindent 2 }}
{{- end }}
matchExpressions:
{{- range $covered.matchExpressions }}
  - {key: {{ .key }}, operator: {{ .operator }}{{ with .values }}, values: {{ toJson . }}{{ end }}}
{{- end }}
  # The API server itself writes this label: nobody can take it off, or put it on another namespace.
  - {key: kubernetes.io/metadata.name, operator: NotIn, values: {{ prepend .Values.namespaces.excluded .Release.Namespace | uniq | toJson }}}
{{- end }}

{{- define "assay.clientConfig" -}}
service:
  name: webhook
  namespace: {{ .root.Release.Namespace }}
  path: {{ .path }}
  port: {{ .root.Values.webhook.service.port }}
{{- end }}

{{- define "assay.webhookAnnotations" -}}
{{- if .Values.certManager.enabled }}
{{- dict "cert-manager.io/inject-ca-from" (printf "%s/assay-webhook" .Release.Namespace) | toJson }}
{{- else }}
{{- "{}" }}
{{- end }}
{{- end }}

{{- /* The names of our webhook configurations, as JSON. */ -}}
{{- define "assay.configurations" -}}
{{- list .Values.cosign.webhookName .Values.webhook.webhookNames.validating .Values.webhook.webhookNames.defaulting | uniq | toJson }}
{{- end }}
