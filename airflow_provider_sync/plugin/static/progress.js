// The "Sync progress" view of a task instance: what the running task says of itself, and its report when it is
// done. It asks Airflow's own API with the login of whoever looks, so it shows nobody more than Airflow does.
// React and Chakra come from the page; there is nothing to build.
const { createElement: h, useEffect, useState } = globalThis.React;
const { Badge, Box, Progress, Table, Text } = globalThis.ChakraUI;

const POLL_MS = 3000;
const NAME = "Sync progress";

async function ask(path) {
  // Relative to the page's base, so that it works below any path that Airflow is served under.
  const answer = await fetch(new URL(path, document.baseURI));
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`Airflow answered ${answer.status} for ${path}`);
  return answer.json();
}

async function look({ dagId, runId, taskId, mapIndex }) {
  const part = encodeURIComponent;
  const index = mapIndex ?? "-1";
  const task = `api/v2/dags/${part(dagId)}/dagRuns/${part(runId)}/taskInstances/${part(taskId)}`;
  const [instance, stored, pushed, report] = await Promise.all([
    ask(Number(index) < 0 ? task : `${task}/${index}`),
    ask(`${task}/state-store/progress?map_index=${index}`),
    ask(`${task}/xcomEntries/progress?map_index=${index}&deserialize=true`),
    ask(`${task}/xcomEntries/return_value?map_index=${index}&deserialize=true`),
  ]);
  // A deferred task shows its progress as XCom: the triggerer has no task state.
  const progress = (pushed ?? stored)?.value;
  const state = instance?.state ?? "none";
  if (!Array.isArray(report?.value)) return { state, progress, report: report?.value };
  // A plan returns what its mapped tasks are mapped over; what it found is beside it.
  const planned = (await ask(`${task}/xcomEntries/planned?map_index=${index}&deserialize=true`))?.value;
  return { state, progress, report: planned?.summary && { job: planned.job, plan: planned.summary } };
}

const number = (value) => Number(value ?? 0).toLocaleString();
const rate = (value, seconds) => `${number(Math.round(value / Math.max(seconds, 0.001)))} a second`;

function fileRows(one) {
  const rows = [
    ["Files there", `${number(one.moved + one.skipped)} of ${number(one.total ?? one.files)}`],
    ["Skipped", number(one.skipped)],
    ["Failed", number(one.failed)],
    ["Bytes", `${number(one.bytes_done)} (${number(one.bytes_moved)} moved)`],
  ];
  if (one.total !== undefined) {
    rows.push(["Under way", number(one.active)], ["Bytes a second", number(one.bytes_per_second)]);
    rows.push(["Seconds left", one.eta === null ? "unknown" : number(Math.round(one.eta))]);
  }
  (one.failed_files ?? []).slice(0, 100).forEach((file) => rows.push([file.source, `${file.status} ${file.message}`]));
  return rows;
}

function planRows(plan) {
  const rows = [
    ["Objects listed", number(plan.scanned)],
    ["To move", `${number(plan.objects)} (${number(plan.bytes)} bytes) in ${number(plan.tasks)} tasks`],
  ];
  Object.entries(plan.counts).forEach(([name, count]) => rows.push([`Not to move: ${name}`, number(count)]));
  rows.push(["Names the target cannot hold", number(plan.rejected)], ["Only in the target", number(plan.extra)]);
  return rows;
}

function migrationRows({ plan, copy, verify, audit, failures }) {
  const rows = planRows(plan);
  if (copy) {
    rows.push(["Copied", `${number(copy.copied)} (${number(copy.bytes)} bytes)`]);
    rows.push(["Skipped", number(copy.skipped)], ["Failed", number(copy.failed_objects)]);
    rows.push(["Tasks done", `${number(copy.succeeded)} of ${number(copy.tasks)}`]);
  }
  if (audit) {
    // listings alone tell of most objects, the others were read
    const { verified = 0, ...others } = verify ?? {};
    rows.push(["Compared: the same", number(verified + audit.copied)]);
    Object.entries(others).forEach(([name, count]) => rows.push([`Compared: ${name}`, number(count)]));
    rows.push(["Compared: not the same", number(audit.different + audit.failed_objects)]);
  }
  (failures ?? []).forEach((one) => rows.push([one.key, `${one.code} ${one.note}`]));
  return rows;
}

function sliceRows(one) {
  return [
    ["Tasks", number(one.tasks)],
    ["Objects", number(one.objects)],
    ["Copied", `${number(one.copied)} (${rate(one.copied, one.seconds)})`],
    ["Bytes", `${number(one.bytes)} (${rate(one.bytes, one.seconds)})`],
    ["Skipped", number(one.skipped)],
    ...Object.entries(one.reasons ?? {}).map(([code, count]) => [`Failed: ${code}`, number(count)]),
    ["Done by earlier tries", number(one.resumed)],
    ["With a remark in the audit log", number(one.noted)],
    ["Seconds", number(one.seconds)],
  ];
}

function recordRows(kind, one) {
  const rows = [
    ["Window", one.window ? `${one.window.from} – ${one.window.to}` : "none"],
    ["Records read", `${number(one.read)} (${rate(one.read, one.seconds)})`],
    ["Rows written", number(one.written)],
    ["Bytes read", `${number(one.bytes ?? one.nbytes)} (${rate(one.bytes ?? one.nbytes, one.seconds)})`],
    ["Rejected", number(one.rejected)],
    ["Seconds", number(one.seconds)],
  ];
  if (kind === "report") {
    rows.push(["Windows committed", number(one.windows?.length)], ["Objects", number(one.objects?.length)]);
    rows.push(["Manifest", one.manifest || "none"]);
    Object.entries(one.counters ?? {}).forEach(([name, count]) => rows.push([name, number(count)]));
  }
  return rows;
}

function plainRows(one) {
  const rows = typeof one === "object" ? Object.entries(one) : [["Result", one]];
  return rows.filter(([, value]) => typeof value !== "object").map(([name, value]) => [name, String(value)]);
}

function rowsOf(kind, one) {
  if (one.moved !== undefined) return fileRows(one);
  if (one.plan !== undefined) return migrationRows(one);
  if (one.copied !== undefined) return sliceRows(one);
  return one.read === undefined ? plainRows(one) : recordRows(kind, one);
}

function facts(kind, one) {
  const rows = rowsOf(kind, one);
  return h(
    Table.Root,
    { size: "sm", "data-testid": `sync-${kind}` },
    h(
      Table.Body,
      null,
      rows.map(([name, value]) =>
        h(Table.Row, { key: name }, h(Table.Cell, { fontWeight: "medium", minW: "15rem" }, name), h(Table.Cell, null, value)),
      ),
    ),
  );
}

function SyncProgress(props) {
  const [seen, setSeen] = useState({});
  useEffect(() => {
    let timer;
    let gone = false;
    const poll = async () => {
      let next;
      try {
        next = await look(props);
      } catch (error) {
        next = { error: String(error) };
      }
      if (gone) return;
      setSeen(next);
      timer = setTimeout(poll, POLL_MS);
    };
    poll();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [props.dagId, props.runId, props.taskId, props.mapIndex]);

  const { error, state, progress, report } = seen;
  if (error) return h(Text, { p: 4, color: "fg.error" }, error);
  if (!state) return h(Text, { p: 4 }, "Asking Airflow …");
  const shown = state === "success" && report ? ["report", report] : progress && ["progress", progress];
  if (!shown) return h(Text, { p: 4 }, `Nothing to show yet; the task is ${state}.`);
  const done = shown[0] === "report" ? 1 : (progress.splits_done ?? progress.files_done ?? progress.copy?.succeeded ?? progress.copied);
  const total = shown[0] === "report" ? 1 : (progress.splits ?? progress.total ?? progress.copy?.tasks ?? progress.objects);
  return h(
    Box,
    { p: 4, maxW: "3xl" },
    h(Box, { mb: 3 }, h(Badge, null, state), " ", shown[1].job),
    h(
      Progress.Root,
      { value: done, max: total || 1, mb: 3, "aria-label": `${done} of ${total}` },
      h(Progress.Track, null, h(Progress.Range)),
    ),
    facts(...shown),
  );
}

// Airflow looks the component up by exactly the name of the view.
globalThis[NAME] = SyncProgress;
