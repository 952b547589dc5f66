"""Runs the code of a turn in its attempt's sandbox and records what came back."""

from __future__ import annotations

from collections.abc import Callable

from planner_app.agents.observation import observation_body, observation_text
from planner_app.domain.catalogue import ActionFinished, ActionStarted, SessionLost
from planner_app.domain.errors import HistoryError, PlannerError
from planner_app.domain.loops import code_key, observation_key
from planner_app.domain.move_steps import concluded
from planner_app.domain.move_types import RunAction, where
from planner_app.engine.live import LiveText
from planner_app.engine.run_log import RunLog
from planner_app.engine.sessions import Sessions
from planner_app.engine.takeover import orphan
from planner_app.sandbox.session import ActionResult, SessionClosed

HEAD_CHARS = 300
ENGINE_ENDED = "the container engine ended"


class Actions:
    """Performs `RunAction`."""

    def __init__(
        self,
        log: RunLog,
        sessions: Sessions,
        live: LiveText,
        seconds: float,
        scrub: Callable[[str], str],
    ) -> None:
        self._log = log
        self._sessions = sessions
        self._live = live
        self._seconds = seconds
        self._scrub = scrub

    async def perform(self, move: RunAction) -> None:
        """Run the action; afterwards its observation is in the log."""
        code = self._log.read(move.code)
        try:
            session, lane = await self._sessions.get(move.step_id, move.attempt)
        except HistoryError:
            raise  # it may pass, and is no fault of the sandbox
        except PlannerError as error:
            await self._no_sandbox(move, error)
            return
        await self._log.append(
            ActionStarted(
                turn=move.turn, code_head=code[:HEAD_CHARS], timeout_s=self._seconds
            ).draft(**where(move), actor="executor", blobs={"code": move.code})
        )
        lane.begin(move.turn, int(move.id.rsplit("/", 1)[1]), live=True)
        with self._live.stream(move.id) as stream:
            try:
                result = await session.run(code, timeout=self._seconds, on_output=stream.write)
            except SessionClosed as error:
                result = ActionResult(status="died", state_lost=True, why=str(error))
            if result.status == "died" and await self._sessions.lost_with_engine(lane):
                # As when the driver's process ends: it is begun again, in a sandbox that is
                # brought back, with the results of the calls that it had made.
                await self._log.append(orphan(move.id, self._log.state.open[move.id], ENGINE_ENDED))
                return
            result = lane.told(result)
            await self._record(move, code, result)
        await self._sessions.after_action(lane, result)

    async def _no_sandbox(self, move: RunAction, error: PlannerError) -> None:
        """Without a sandbox the attempt fails; the next one opens another."""
        state = self._log.state
        lost = SessionLost(why=str(error)[:500]).draft(step_id=move.step_id, attempt=move.attempt)
        step = state.steps[move.step_id]
        await self._log.append(lost, *concluded(state, step, "failed", str(error)), durable=True)

    async def _record(self, move: RunAction, code: str, result: ActionResult) -> None:
        observation = self._scrub(observation_text(result, move.turn))
        body = self._scrub(observation_body(result))
        finished = ActionFinished(
            turn=move.turn,
            status=result.status,
            ms=result.ms,
            head=body[:HEAD_CHARS],
            value_type=result.value_type,
            error_name=result.error.name[:200] if result.error else None,
            error_message=self._scrub(result.error.message)[:500] if result.error else "",
            stdout_bytes=len(result.stdout),
            dropped_bytes=result.dropped_bytes,
            state_lost=result.state_lost,
            oom=result.oom,
            files=[name[:200] for name in result.files[:30]],
            displays=[display.mime[:60] for display in result.displays[:32]],
            code_key=code_key(code),
            observation_key=observation_key(body),
        )
        blobs = await self._blobs(result, observation)
        draft = finished.draft(**where(move), actor="executor", blobs=blobs)
        await self._log.append(draft, durable=True)

    async def _blobs(self, result: ActionResult, observation: str) -> dict[str, str]:
        texts = {
            "observation": observation,
            "stdout": self._scrub(result.stdout),
            "stderr": self._scrub(result.stderr),
            "value": self._scrub(result.value or ""),
            "traceback": self._scrub(result.error.traceback) if result.error else "",
        }
        named = {k: v.encode("utf-8", "replace") for k, v in texts.items() if v}
        named |= {f"display:{i}": d.data for i, d in enumerate(result.displays[:32], start=1)}
        shas = await self._log.put(*named.values())
        return dict(zip(named, shas, strict=True))
