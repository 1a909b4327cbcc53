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
{{- if .Values.bundles.config }}
- --config-file=/etc/assay/bundles/opa.yaml
{{- if .Values.bundles.trust }}
- --bundle-trust=/etc/assay/bundles/trust.yaml
{{- end }}
{{- if .Values.bundles.tests }}
- --bundle-tests
{{- end }}
{{- range $name, $revision := .Values.bundles.minimumRevisions }}
- {{ printf "--bundle-minimum-revision=%s=%s" $name $revision | quote }}
{{- end }}
{{- else if or .Values.bundles.trust .Values.bundles.minimumRevisions .Values.bundles.tests }}
{{- fail "bundles.config: got none, want the bundles that the rest of bundles is about" }}
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

{{- /* Who may reach the port; nothing where that is everybody. */ -}}
{{- define "assay.callers" -}}
{{- $policy := .Values.networkPolicy }}
{{- if and $policy.apiServer $policy.podCIDRs }}
{{- fail "networkPolicy.podCIDRs: got it beside networkPolicy.apiServer, want one of them" }}
{{- end }}
{{- range $policy.apiServer }}
- ipBlock: {cidr: {{ . | quote }}}
{{- end }}
{{- if $policy.podCIDRs }}
{{- $four := list }}
{{- $six := list }}
{{- range $policy.podCIDRs }}
{{- if contains ":" . }}{{ $six = append $six . }}{{ else }}{{ $four = append $four . }}{{ end }}
{{- end }}
{{- range $all, $except := dict "0.0.0.0/0" $four "::/0" $six }}
- ipBlock:
    cidr: {{ $all | quote }}
    {{- with $except }}
    except: {{ toJson . }}
    {{- end }}
{{- end }}
{{- end }}
{{- with $policy.apiServerPods }}
{{ toYaml . }}
{{- end }}
{{- if or $policy.apiServer $policy.podCIDRs $policy.apiServerPods }}
{{- with $policy.metricsFrom }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The files of bundles: OPA's configuration, and who may sign them. */ -}}
{{- define "assay.bundles" -}}
opa.yaml: |
  {{- merge (dict) .Values.bundles.config (dict "persistence_directory" "/var/lib/assay") | toYaml | nindent 2 }}
{{- with .Values.bundles.trust }}
trust.yaml: |
  {{- . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Where bundles are kept: a volume that each Pod has for itself, since two processes never share it. */ -}}
{{- define "assay.keptBundles" -}}
{{- $volume := .Values.bundles.volume }}
{{- if gt (len $volume) 1 }}
{{- $volume = omit $volume "emptyDir" }}{{- /* the default, which values are merged with */}}
{{- end }}
{{- if ne (len (pick $volume "emptyDir" "ephemeral" "csi")) 1 }}
{{- fail (printf "bundles.volume: got %s, want emptyDir, ephemeral or csi: each Pod has to have a volume of its own, and what is lost with it is bundles.minimumRevisions for" (keys $volume | sortAlpha | join " and " | default "none")) }}
{{- end }}
{{- toYaml $volume }}
{{- end }}
