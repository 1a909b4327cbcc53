{{- define "assay.args" -}}
- serve
- --cluster
- --system-namespace={{ .Release.Namespace }}
- --addr=:8443
- --mutate={{ .Values.mutate }}
- --timeout={{ include "assay.timeout" . }}
- --tuf-cache=/var/cache/assay
- --pull-secrets={{ .Values.pullSecrets.mode }}
{{- if eq .Values.pullSecrets.mode "central" }}
- --pull-secret={{ required "pullSecrets.secret: got none, want the name of the Secret that pullSecrets.mode=central reads" .Values.pullSecrets.secret }}
{{- else if .Values.pullSecrets.secret }}
{{- fail (printf "pullSecrets.secret: got %s, want it with pullSecrets.mode=central alone" .Values.pullSecrets.secret) }}
{{- end }}
{{- range .Values.cloudCredentials }}
- {{ printf "--cloud-credentials=%s" . | quote }}
{{- end }}
{{- range .Values.imagePolicies.sources }}
- --image-policy-source={{ . }}
{{- end }}
{{- if .Values.certManager.enabled }}
- --tls-cert=/etc/assay/tls/tls.crt
- --tls-key=/etc/assay/tls/tls.key
{{- else }}
- --webhook-service=webhook
{{- range include "assay.configurations" . | fromJsonArray }}
- --webhook-config={{ . }}
{{- end }}
{{- end }}
{{- if .Values.webhook.clientCA.name }}
- --client-ca=/etc/assay/client-ca/ca.crt
{{- end }}
{{- range $name, $value := .Values.webhook.extraArgs }}
- {{ printf "--%s=%v" $name $value | quote }}
{{- end }}
{{- end }}

{{- define "assay.env" -}}
{{- if .Values.webhook.registryCaBundle.name }}
- name: SSL_CERT_DIR
  value: /etc/custom-ca:/etc/ssl/certs
{{- end }}
{{- range $name, $value := .Values.webhook.env }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}
