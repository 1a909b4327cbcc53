{{- /* What is asked about: creations and updates of what runs images. Neither status nor scale, which run nothing new. */ -}}
{{- define "assay.podRules" -}}
- apiGroups: [""]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [pods, pods/ephemeralcontainers]
  scope: Namespaced
{{- end }}

{{- define "assay.templateRules" -}}
- apiGroups: [""]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [podtemplates, replicationcontrollers]
  scope: Namespaced
- apiGroups: [apps]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [deployments, replicasets, statefulsets, daemonsets]
  scope: Namespaced
- apiGroups: [batch]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [jobs, cronjobs]
  scope: Namespaced
- apiGroups: [serving.knative.dev]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [services, configurations, revisions]
  scope: Namespaced
{{- end }}

{{- define "assay.policyRules" -}}
- apiGroups: [policy.sigstore.dev]
  apiVersions: [v1alpha1, v1beta1]
  operations: [CREATE, UPDATE]
  resources: [clusterimagepolicies]
  scope: Cluster
- apiGroups: [policy.sigstore.dev]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [trustroots]
  scope: Cluster
- apiGroups: [policy.assay.dev]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [imagepolicies]
  scope: Namespaced
{{- end }}

{{- define "assay.ownRules" -}}
- apiGroups: [policy.assay.dev]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [regopolicies, workloadpaths]
  scope: Cluster
{{- end }}

{{- /* CEL: whether labels, the name of a variable, are those of a covered namespace. Keys and values of labels
     cannot end a literal: the schema holds them to their alphabet. */ -}}
{{- define "assay.coveredExpression" -}}
{{- $covered := include "assay.covered" .root | fromJson }}
{{- $labels := .labels }}
{{- $all := list }}
{{- range $key, $value := $covered.matchLabels }}
{{- $all = append $all (printf "(%q in %s && %s[%q] == %q)" $key $labels $labels $key $value) }}
{{- end }}
{{- range $covered.matchExpressions }}
{{- $has := printf "%q in %s" .key $labels }}
{{- if eq .operator "In" }}
{{- $all = append $all (printf "(%s && %s[%q] in %s)" $has $labels .key (toJson .values)) }}
{{- else if eq .operator "NotIn" }}
{{- $all = append $all (printf "!(%s && %s[%q] in %s)" $has $labels .key (toJson .values)) }}
{{- else if eq .operator "Exists" }}
{{- $all = append $all (printf "(%s)" $has) }}
{{- else }}
{{- $all = append $all (printf "!(%s)" $has) }}
{{- end }}
{{- end }}
{{- join " && " $all | default "true" }}
{{- end }}
