{{/* Gives every value that is missing its default. "helm upgrade --reuse-values" brings the values of an older chart,
     and null takes one away. Each template begins with it, so no other place has to ask whether a value is there. */}}
{{- define "crmflow.complete" -}}
{{- include "crmflow.fill" (dict "given" .Values "defaults" (include "crmflow.defaults" . | fromYaml)) -}}
{{- if not .Values.enabled -}}
{{- fail "enabled: only a chart that depends on this one reads it, as the condition of its dependency; leave it true" -}}
{{- end -}}
{{- end -}}

{{- define "crmflow.fill" -}}
{{- range $name, $default := .defaults -}}
{{- $value := index $.given $name -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := set $.given $name $default -}}
{{- else if kindIs "map" $default -}}
{{- include "crmflow.fill" (dict "given" $value "defaults" $default) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The name of what is installed: the release's, with the chart's if that does not say it already. A release's name may
     have dots, a Service's may not. */}}
{{- define "crmflow.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := printf "%s-%s" .Release.Name $name -}}
{{- if .Values.fullnameOverride -}}
{{- $full = .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- $full = .Release.Name -}}
{{- end -}}
{{- $full | replace "." "-" | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{/* A Service's name begins with a letter. */}}
{{- define "crmflow.serviceName" -}}
{{- $full := include "crmflow.fullname" . -}}
{{- if regexMatch "^[0-9]" $full }}metrics-{{ $full }}{{ else }}{{ $full }}-metrics{{ end -}}
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
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* What the doctor finds the operator by, whatever its name is. */}}
{{- define "crmflow.operatorLabels" -}}
crmflow.io/component: operator
{{- end -}}

{{/* Which Service has the metrics, for whoever may not rely on the labels above. */}}
{{- define "crmflow.metricsLabels" -}}
crmflow.io/component: metrics
{{- end -}}

{{- define "crmflow.labels" -}}
{{- include "crmflow.labelsWith" (list .) -}}
{{- end -}}

{{/* The labels of an object: a list of the root and of more labels of ours. Ours stay what they are if commonLabels has
     them too. */}}
{{- define "crmflow.labelsWith" -}}
{{- $root := first . -}}
{{- $labels := deepCopy $root.Values.commonLabels -}}
{{- range rest . }}{{ $labels = mergeOverwrite $labels . }}{{ end -}}
{{- $labels = mergeOverwrite $labels (include "crmflow.selectorLabels" $root | fromYaml) -}}
{{- with $root.Chart -}}
{{- $_ := set $labels "app.kubernetes.io/version" (include "crmflow.appVersion" $root) -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .Name .Version | replace "+" "_" | trunc 63 | trimAll "-_.") -}}
{{- end -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- toYaml $labels -}}
{{- end -}}

{{/* The labels by which the cluster's own roles take a ClusterRole in. */}}
{{- define "crmflow.aggregation" -}}
{{- range . }}
rbac.authorization.k8s.io/aggregate-to-{{ . }}: "true"
{{- end }}
{{- end -}}

{{/* Of the Pods: more of the user's, and what they are found by. */}}
{{- define "crmflow.podLabels" -}}
{{- $labels := mergeOverwrite (deepCopy .Values.commonLabels) .Values.podLabels -}}
{{- $labels = mergeOverwrite $labels (include "crmflow.operatorLabels" . | fromYaml) -}}
{{- toYaml (mergeOverwrite $labels (include "crmflow.selectorLabels" . | fromYaml)) -}}
{{- end -}}

{{/* Neither a label nor a tag may have the + of build metadata. */}}
{{- define "crmflow.appVersion" -}}
{{- .Chart.AppVersion | replace "+" "_" -}}
{{- end -}}

{{- define "crmflow.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}
{{- else }}{{ .repository }}:{{ default (include "crmflow.appVersion" $) .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* How Pods are replaced. The parts of a rolling update, which the default has, belong to no other type. They are left out
     rather than null: with null the API server keeps what it has. */}}
{{- define "crmflow.strategy" -}}
{{- $strategy := .Values.strategy -}}
{{- if ne (default "RollingUpdate" $strategy.type) "RollingUpdate" -}}
{{- $strategy = omit $strategy "rollingUpdate" -}}
{{- end -}}
{{- toYaml $strategy -}}
{{- end -}}

{{/* A probe of a path, with what the values say of it. */}}
{{- define "crmflow.probe" -}}
{{- toYaml (mergeOverwrite (dict "httpGet" (dict "path" .path "port" "http")) (deepCopy .values)) -}}
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

{{/* "true" if its rights to the kinds are for the whole cluster. Those in a namespace would go with it, before
     its resources do. */}}
{{- define "crmflow.kindsEverywhere" -}}
{{- if or .Values.rbac.clusterWideKinds (not .Values.watchNamespaces) }}true{{ end -}}
{{- end -}}

{{/* What the operator may do with its resources: exactly the requests that it makes. */}}
{{- define "crmflow.kindRules" -}}
# Watch the resources, and read one anew when somebody else has changed it. patch adds and removes the finalizer.
- apiGroups: [crmflow.io]
  resources: [zohosourceconnections, crmdataflows, crmdataflowruns]
  verbs: [get, list, watch, patch]
- apiGroups: [crmflow.io]
  resources: [zohosourceconnections/status, crmdataflows/status, crmdataflowruns/status]
  verbs: [patch]
# Runs that have ended, once their spec.ttlSecondsAfterFinished is over.
- apiGroups: [crmflow.io]
  resources: [crmdataflowruns]
  verbs: [delete]
{{- end -}}

{{/* Whether another installation that serves a resource is still there. */}}
{{- define "crmflow.leaseRules" -}}
# The Lease of another installation, which a resource's status.servedBy names; and its own.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get]
{{- end -}}

{{/* What else it does where its resources are. */}}
{{- define "crmflow.tenantRules" -}}
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
  verbs: [{{ if not (include "crmflow.kindsEverywhere" .) }}get, {{ end }}update]
# The tokens that it obtains, one Secret per credential.{{ if not .Values.watchNamespaces }} Reading is allowed everywhere.{{ end }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [{{ if .Values.watchNamespaces }}get, list, {{ end }}create, patch, delete]
{{- if .Values.transfer.enabled }}
# The Jobs of transfers, and their Pods, which say what came of them.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, watch, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
{{- end }}
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
  name: {{ include "crmflow.serviceAccountName" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end -}}

{{/* The container's environment. What extraEnv repeats takes the place of ours: a name may stand there once. */}}
{{- define "crmflow.env" -}}
{{- include "crmflow.eachOnce" (concat (include "crmflow.ownEnv" . | fromYamlArray) .Values.extraEnv) -}}
{{- end -}}

{{/* Of the entries of a list that have the same name the last one. */}}
{{- define "crmflow.eachOnce" -}}
{{- $last := dict -}}
{{- range $position, $entry := . }}{{ $_ := set $last $entry.name $position }}{{ end -}}
{{- range $position, $entry := . }}
{{- if eq $position (get $last $entry.name) }}
{{ toYaml (list $entry) }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "crmflow.ownEnv" -}}
{{- range $name, $value := dict "CRMFLOW_WATCH_NAMESPACES" "watchNamespaces" "CRMFLOW_LEASE_NAME" "fullnameOverride" }}
{{- range $.Values.extraEnv }}
{{- if eq .name $name }}
{{- fail (printf "extraEnv: %s has to agree with the operator's rights; set %s instead" $name $value) }}
{{- end }}
{{- end }}
{{- end }}
{{- range .Values.extraEnv }}
{{- if and (eq .name "CRMFLOW_LEADER_ELECTION") (ne (toString .value) "true") (gt (int $.Values.replicas) 1) }}
{{- fail (printf "extraEnv: without CRMFLOW_LEADER_ELECTION all %d replicas would work at the same time; set replicas to 1" (int $.Values.replicas)) }}
{{- end }}
{{- end -}}
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
{{- if .Values.transfer.enabled }}
- name: CRMFLOW_TRANSFER_TEMPLATE
  value: /etc/crmflow/transfer/template.json
- name: CRMFLOW_TRANSFER_SLOTS
  value: {{ .Values.transfer.slots | quote }}
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: CRMFLOW_{{ $name | snakecase | upper }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- include "crmflow.caEnv" . }}
{{- include "crmflow.proxyEnv" . }}
{{- if include "crmflow.hasProxy" . }}
- name: NO_PROXY
  value: {{ concat (list "$(KUBERNETES_SERVICE_HOST)" "kubernetes.default.svc") .Values.proxy.noProxy | join "," | quote }}
{{- end }}
{{- end -}}

{{- define "crmflow.caEnv" -}}
{{- if .Values.caBundle.existingConfigMap }}
- name: SSL_CERT_FILE
  value: /etc/crmflow/ca/{{ .Values.caBundle.key }}
{{- end }}
{{- end -}}

{{- define "crmflow.hasProxy" -}}
{{- with .Values.proxy }}{{ if or .httpsProxy .httpProxy .existingSecret }}true{{ end }}{{ end -}}
{{- end -}}

{{/* Which proxy. What is reached without it differs: the kubelet puts the API server's address in place of
     $(KUBERNETES_SERVICE_HOST), and transfers do not talk to it. */}}
{{- define "crmflow.proxyEnv" -}}
{{- $proxy := .Values.proxy -}}
{{- if include "crmflow.hasProxy" . }}
{{- range $variable, $key := dict "HTTPS_PROXY" "httpsProxy" "HTTP_PROXY" "httpProxy" }}
{{- if $proxy.existingSecret }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef:
      name: {{ $proxy.existingSecret | quote }}
      key: {{ $key }}
      optional: true
{{- else if index $proxy $key }}
- name: {{ $variable }}
  value: {{ index $proxy $key | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The Pod template of transfers, as JSON. The operator adds what makes a transfer of it, and what a transfer must not
     be able to do. */}}
{{- define "crmflow.transferTemplate" -}}
{{- $values := .Values.transfer -}}
{{- $container := dict "name" "transfer" "resources" (default (include "crmflow.transferResources" . | fromYaml) $values.resources) -}}
{{- if $values.image }}{{ $_ := set $container "image" $values.image }}{{ end -}}
{{- with concat (include "crmflow.transferEnv" . | fromYamlArray) $values.extraEnv -}}
{{- $_ := set $container "env" (include "crmflow.eachOnce" . | fromYamlArray) -}}
{{- end -}}
{{- $spec := dict "containers" (list $container) "securityContext" .Values.podSecurityContext -}}
{{- range $name, $value := dict "imagePullSecrets" .Values.imagePullSecrets "nodeSelector" $values.nodeSelector "tolerations" $values.tolerations "affinity" $values.affinity "priorityClassName" $values.priorityClassName }}
{{- if $value }}{{ $_ := set $spec $name $value }}{{ end -}}
{{- end -}}
{{- with .Values.caBundle.existingConfigMap -}}
{{- $_ := set $spec "volumes" (list (dict "name" "ca" "configMap" (dict "name" .))) -}}
{{- $_ := set $container "volumeMounts" (list (dict "name" "ca" "mountPath" "/etc/crmflow/ca" "readOnly" true)) -}}
{{- end -}}
{{- $metadata := dict -}}
{{- with mergeOverwrite (deepCopy .Values.commonLabels) $values.podLabels }}{{ $_ := set $metadata "labels" . }}{{ end -}}
{{- with $values.podAnnotations }}{{ $_ := set $metadata "annotations" . }}{{ end -}}
{{- $template := dict "spec" $spec -}}
{{- with $metadata }}{{ $_ := set $template "metadata" . }}{{ end -}}
{{- toPrettyJson $template -}}
{{- end -}}

{{- define "crmflow.transferResources" -}}
requests: {cpu: 100m, memory: 128Mi}
limits: {memory: 256Mi}
{{- end -}}

{{- define "crmflow.transferEnv" -}}
{{- range $name, $value := pick .Values.settings "logFormat" "logLevel" }}
- name: CRMFLOW_{{ $name | snakecase | upper }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- include "crmflow.caEnv" . }}
{{- include "crmflow.proxyEnv" . }}
{{- if and .Values.proxy.noProxy (include "crmflow.hasProxy" .) }}
- name: NO_PROXY
  value: {{ .Values.proxy.noProxy | join "," | quote }}
{{- end }}
{{- end -}}

{{/* Networks to leave out of one that is the whole world: a list of it and them, of which those count that are of its
     family. An exception has to lie within what it is one of, so a narrower network has none. */}}
{{- define "crmflow.without" -}}
{{- $mark := get (dict "0.0.0.0/0" "." "::/0" ":") (first .) -}}
{{- range last . }}{{ if and $mark (contains $mark .) }}
- {{ . | quote }}
{{- end }}{{ end -}}
{{- end -}}

{{/* The volumes, ours and further ones. */}}
{{- define "crmflow.volumes" -}}
{{- $own := include "crmflow.ownVolumes" . | fromYamlArray -}}
{{- range .Values.extraVolumes }}
{{- $given := . }}
{{- range $own }}
{{- if eq .name $given.name }}{{ fail (printf "extraVolumes: the chart has a volume %q of its own here; give yours another name" .name) }}{{ end }}
{{- end }}
{{- end }}
{{- with concat $own .Values.extraVolumes }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{/* Where they are mounted. */}}
{{- define "crmflow.volumeMounts" -}}
{{- $own := include "crmflow.ownVolumeMounts" . | fromYamlArray -}}
{{- range .Values.extraVolumeMounts }}
{{- $given := . }}
{{- range $own }}
{{- if eq .mountPath $given.mountPath }}{{ fail (printf "extraVolumeMounts: the chart has mounted something at %s itself; mount yours elsewhere" .mountPath) }}{{ end }}
{{- end }}
{{- end }}
{{- with concat $own .Values.extraVolumeMounts }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{/* Files that come from ConfigMaps: the volumes, and where they are mounted. Directories, not single files: those
     would not follow a change. */}}
{{- define "crmflow.ownVolumes" -}}
{{- with include "crmflow.ipAllowListConfigMap" . }}
- name: ip-allow-list
  configMap:
    name: {{ . | quote }}
{{- end }}
{{- with include "crmflow.tenancyConfigMap" . }}
- name: tenancy
  configMap:
    name: {{ . | quote }}
{{- end }}
{{- if .Values.transfer.enabled }}
- name: transfer
  configMap:
    name: {{ include "crmflow.fullname" . }}-transfer
{{- end }}
{{- with .Values.caBundle.existingConfigMap }}
- name: ca
  configMap:
    name: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "crmflow.ownVolumeMounts" -}}
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
{{- if .Values.transfer.enabled }}
- name: transfer
  mountPath: /etc/crmflow/transfer
  readOnly: true
{{- end }}
{{- if .Values.caBundle.existingConfigMap }}
- name: ca
  mountPath: /etc/crmflow/ca
  readOnly: true
{{- end }}
{{- end -}}
