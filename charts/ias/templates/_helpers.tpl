{{/* Names, labels, and what all pods have. Most take a dict: root, and the component's name. */}}

{{- define "ias.fullname" -}}
{{- if contains "ias" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-ias" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "ias.name" -}}
{{ include "ias.fullname" .root }}-{{ .component }}
{{- end }}

{{- define "ias.selector" -}}
app.kubernetes.io/name: ias
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* The release that runs: that of the chart, unless another is named. */}}
{{- define "ias.tag" -}}
{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "ias.common" -}}
app.kubernetes.io/name: ias
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ include "ias.tag" . | quote }}
app.kubernetes.io/part-of: ias
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "ias.labels" -}}
{{ include "ias.common" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "ias.image" -}}
{{- if eq .root.Values.image.tag "latest" }}
{{- fail "image.tag: name a release; what `latest` is changes under a roll-out, and cannot be rolled back to" }}
{{- end }}
image: {{ printf "%s/%s:%s" .root.Values.image.registry .image (include "ias.tag" .root) }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- end }}

{{/* What a pod is before its containers. No process asks Kubernetes for anything: none has a token of it. */}}
{{- define "ias.pod" -}}
automountServiceAccountToken: false
# Else the Services ias-api and ias-gateway were IAS_API_PORT and IAS_GATEWAY_PORT in each pod, which are settings of ours.
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Processes read Secrets when they start, and Helm cannot see these change. What is in a pod's folders may go with it: an
     autoscaler of nodes need not spare it for their sake. */}}
{{- define "ias.told" -}}
ias/secrets-revision: {{ .root.Values.secrets.revision | quote }}
cluster-autoscaler.kubernetes.io/safe-to-evict: "true"
{{- end }}

{{- define "ias.placed" -}}
{{- with .of.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .of.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{ include "ias.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}

{{- define "ias.contained" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Variables: of the chart (a dict), of a Secret (names), and what the values add. */}}
{{- define "ias.env" -}}
{{- range $name, $value := merge (dict) (.settings | default dict) .given }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- range $key := .keys }}
- name: {{ $key }}
  valueFrom: {secretKeyRef: {name: {{ $.secret }}, key: {{ $key }}}}
{{- end }}
{{- end }}

{{/* Which variables each process takes from its Secret, and from the External Secrets Operator. */}}
{{- define "ias.keys.gateway" -}}IAS_REDIS_URL IAS_CACHE_SALT_SECRET{{- end }}
{{- define "ias.keys.api" -}}
IAS_DATABASE_URL IAS_REDIS_URL IAS_JWT_SECRET{{ if .Values.secrets.webhook }} IAS_GITOPS_WEBHOOK_SECRET{{ end }}
{{- end }}
{{- define "ias.keys.worker" -}}
IAS_DATABASE_URL IAS_REDIS_URL IAS_JWT_SECRET IAS_AMQP_URL{{ if .Values.secrets.rabbitmqManagement }} IAS_AMQP_MANAGEMENT_URL{{ end }}
{{- end }}
{{- define "ias.keys.migrations" -}}IAS_DATABASE_URL IAS_MIGRATION_DATABASE_URL IAS_REDIS_URL IAS_JWT_SECRET{{- end }}

{{/* Alive is who answers at all. Ready has a minute's patience: while Redis or PostgreSQL is away, a process that says 503
     with Retry-After is better than an ingress that finds nobody; and api pods of the release before say that they are not
     ready once the Function library is the new one, though it serves them. */}}
{{- define "ias.probes" -}}
startupProbe:
  httpGet: {path: /health, port: {{ .port }}}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /health, port: {{ .port }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /ready, port: {{ .port }}}
  periodSeconds: 5
  timeoutSeconds: 4
  failureThreshold: 12
{{- end }}

{{- define "ias.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "ias.name" . }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{ include "ias.labels" . | nindent 4 }}
automountServiceAccountToken: false
{{- end }}

{{/* One at a time may be taken away on purpose, however many there are: nodes can always be drained. */}}
{{- define "ias.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "ias.name" . }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{ include "ias.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{ include "ias.selector" . | nindent 6 }}
{{- end }}

{{/* `metrics` are added to CPU. Slow to take away: a pod's requests have to end first. */}}
{{- define "ias.scaler" -}}
{{- if gt (int .of.autoscaling.minReplicas) (int .of.autoscaling.maxReplicas) }}
{{- fail (printf "%s.autoscaling: minReplicas is above maxReplicas" .component) }}
{{- end }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "ias.name" . }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{ include "ias.labels" . | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ include "ias.name" . }}}
  minReplicas: {{ .of.autoscaling.minReplicas }}
  maxReplicas: {{ .of.autoscaling.maxReplicas }}
  metrics:
    {{- with .of.autoscaling.streams }}
    - type: Pods
      pods:
        metric: {name: ias_gateway_open_requests}
        target: {type: AverageValue, averageValue: {{ . | quote }}}
    {{- end }}
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ .of.autoscaling.cpu }}}
  behavior:
    scaleUp:
      stabilizationWindowSeconds: 0
      policies:
        - {type: Percent, value: 100, periodSeconds: 30}
    scaleDown:
      stabilizationWindowSeconds: 300
      policies:
        - {type: Pods, value: 1, periodSeconds: 60}
{{- end }}
