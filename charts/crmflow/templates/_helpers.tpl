{{/* The name of what is installed: the release's, with the chart's if that does not say it already. */}}
{{- define "crmflow.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The name of what belongs to no namespace. Installations that serve a few namespaces each may be many. */}}
{{- define "crmflow.clusterScopedName" -}}
{{- if .Values.watchNamespaces }}{{ .Release.Namespace }}-{{ end }}{{ include "crmflow.fullname" . }}
{{- end -}}

{{- define "crmflow.serviceAccountName" -}}
{{- $own := ternary (include "crmflow.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $own .Values.serviceAccount.name -}}
{{- end -}}

{{/* What the Deployment and everything else finds the Pods by. It can't be changed afterwards. */}}
{{- define "crmflow.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "crmflow.labels" -}}
{{ include "crmflow.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "crmflow.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}
{{- else }}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Annotations of a CustomResourceDefinition. */}}
{{- define "crmflow.crdAnnotations" -}}
{{- $keep := ternary (dict "helm.sh/resource-policy" "keep") dict .Values.crds.keep -}}
{{- with merge $keep .Values.crds.annotations }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{/* The ConfigMap with the IP allow list, if there is one. */}}
{{- define "crmflow.ipAllowListConfigMap" -}}
{{- if .Values.ipAllowList.existingConfigMap }}{{ .Values.ipAllowList.existingConfigMap }}
{{- else if .Values.ipAllowList.regions }}{{ include "crmflow.fullname" . }}-ip-allow-list
{{- end -}}
{{- end -}}

{{/* The ConfigMap with the tenancy list, if there is one. */}}
{{- define "crmflow.tenancyConfigMap" -}}
{{- if .Values.tenancy.existingConfigMap }}{{ .Values.tenancy.existingConfigMap }}
{{- else if .Values.tenancy.tenants }}{{ include "crmflow.fullname" . }}-tenancy
{{- end -}}
{{- end -}}

{{/* What the operator may do where its resources are: exactly the requests that it makes. */}}
{{- define "crmflow.servedRules" -}}
# Watch the resources, and read one anew when somebody else has changed it. patch adds and removes the finalizer.
- apiGroups: [crmflow.io]
  resources: [zohosourceconnections, crmdataflows]
  verbs: [get, list, watch, patch]
- apiGroups: [crmflow.io]
  resources: [zohosourceconnections/status, crmdataflows/status]
  verbs: [patch]
# Credentials are only read. Which Secrets hold them is up to the resources, so no names can stand here.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* What it may do in its own namespace. */}}
{{- define "crmflow.homeRules" -}}
# The Lease by which replicas agree on the one that works. Creating can't be limited to a name.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "crmflow.fullname" . }}]
  verbs: [get, update]
# The tokens that it obtains, one Secret per credential.{{ if not .Values.watchNamespaces }} Reading is allowed everywhere.{{ end }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [{{ if .Values.watchNamespaces }}get, list, {{ end }}create, patch, delete]
{{- end -}}

{{/* The rule for the UID of kube-system, the installation's name where no other is given. */}}
{{- define "crmflow.instanceRules" -}}
{{- if not .Values.instance -}}
# The UID of kube-system stands for the name of the installation.
- apiGroups: [""]
  resources: [namespaces]
  resourceNames: [kube-system]
  verbs: [get]
{{- end -}}
{{- end -}}

{{- define "crmflow.subjects" -}}
- kind: ServiceAccount
  name: {{ include "crmflow.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{/* The container's environment. */}}
{{- define "crmflow.env" -}}
- name: CRMFLOW_POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: CRMFLOW_POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: CRMFLOW_LEADER_ELECTION
  value: "true"
- name: CRMFLOW_LEASE_NAME
  value: {{ include "crmflow.fullname" . | quote }}
{{- with .Values.instance }}
- name: CRMFLOW_INSTANCE
  value: {{ . | quote }}
{{- end }}
{{- with .Values.watchNamespaces }}
- name: CRMFLOW_WATCH_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
{{- if include "crmflow.ipAllowListConfigMap" . }}
- name: CRMFLOW_IP_ALLOW_LIST
  value: /etc/crmflow/ip-allow-list/{{ .Values.ipAllowList.key }}
{{- end }}
{{- if include "crmflow.tenancyConfigMap" . }}
- name: CRMFLOW_TENANCY
  value: /etc/crmflow/tenancy/{{ .Values.tenancy.key }}
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: CRMFLOW_{{ $name | snakecase | upper }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- if .Values.caBundle.existingConfigMap }}
- name: SSL_CERT_FILE
  value: /etc/crmflow/ca/{{ .Values.caBundle.key }}
{{- end }}
{{- include "crmflow.proxyEnv" . }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The kubelet puts the API server's address in place of $(KUBERNETES_SERVICE_HOST). */}}
{{- define "crmflow.proxyEnv" -}}
{{- $proxy := .Values.proxy -}}
{{- if or $proxy.httpsProxy $proxy.httpProxy $proxy.existingSecret }}
{{- range $variable, $key := dict "HTTPS_PROXY" "httpsProxy" "HTTP_PROXY" "httpProxy" }}
{{- if $proxy.existingSecret }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef:
      name: {{ $proxy.existingSecret }}
      key: {{ $key }}
      optional: true
{{- else if index $proxy $key }}
- name: {{ $variable }}
  value: {{ index $proxy $key | quote }}
{{- end }}
{{- end }}
- name: NO_PROXY
  value: {{ concat (list "$(KUBERNETES_SERVICE_HOST)" "kubernetes.default.svc") $proxy.noProxy | join "," | quote }}
{{- end }}
{{- end -}}

{{/* Files that come from ConfigMaps: the volumes, and where they are mounted. Directories, not single files: those
     would not follow a change. */}}
{{- define "crmflow.volumes" -}}
{{- with include "crmflow.ipAllowListConfigMap" . }}
- name: ip-allow-list
  configMap:
    name: {{ . }}
{{- end }}
{{- with include "crmflow.tenancyConfigMap" . }}
- name: tenancy
  configMap:
    name: {{ . }}
{{- end }}
{{- with .Values.caBundle.existingConfigMap }}
- name: ca
  configMap:
    name: {{ . }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "crmflow.volumeMounts" -}}
{{- if include "crmflow.ipAllowListConfigMap" . }}
- name: ip-allow-list
  mountPath: /etc/crmflow/ip-allow-list
  readOnly: true
{{- end }}
{{- if include "crmflow.tenancyConfigMap" . }}
- name: tenancy
  mountPath: /etc/crmflow/tenancy
  readOnly: true
{{- end }}
{{- if .Values.caBundle.existingConfigMap }}
- name: ca
  mountPath: /etc/crmflow/ca
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}
