/* Goals: print and save, met in program order. A goal that fails is reported and the next one goes on. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/volume.h"
#include "runtime/coordinator/session.h"
#include "runtime/text.h"

#define AHEAD 64 /* image files that may be written before earlier goals are met */

static loom_status goal_fails(loom_session *session, size_t index, const loom_error *cause) {
    loom_goal_state *goal = &session->goals[index];
    const loom_goal *asked = loom_plan_goal(session->plan, index);
    goal->stage = LOOM_GOAL_FAILED;
    LOOM_TRY(loom_add_failure(session, cause, &goal->failure));
    loom_failure *failure = &session->failures[goal->failure];
    loom_error_at(&failure->error, asked->position.file, asked->position.line, asked->position.column);
    loom_id_hex(&loom_plan_node(session->plan, asked->node)->id, failure->node);
    return LOOM_OK;
}

loom_status loom_goals_start(loom_session *session, loom_error *err) {
    size_t count = loom_plan_goal_count(session->plan);
    session->goals = calloc(count ? count : 1, sizeof *session->goals);
    if (!session->goals) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while reading the goals");
    LOOM_TRY(loom_lower_plan(session, err));
    for (size_t i = 0; i < count; i++) {
        loom_goal_state *goal = &session->goals[i];
        loom_error cause = {0};
        goal->step = goal->write = LOOM_STEP_NONE;
        loom_status status =
            loom_lower(session, loom_plan_goal(session->plan, i)->node, LOOM_STEP_NONE, &goal->step, &cause);
        if (status == LOOM_OK) {
            session->graph.steps[loom_graph_resolve(&session->graph, goal->step)].kept = true;
        } else if (status == LOOM_NO_MEMORY)
            return *err = cause, status;
        else
            LOOM_TRY(goal_fails(session, i, &cause));
    }
    /* All are known to be goals now: none is computed within another's task. */
    for (size_t i = 0; i < count; i++)
        if (session->goals[i].step != LOOM_STEP_NONE) LOOM_TRY(loom_demand(session, session->goals[i].step, err));
    return LOOM_OK;
}

/* ---- text ---- */

static bool has_suffix(const char *path, const char *suffix) {
    size_t length = strlen(path), tail = strlen(suffix);
    if (length < tail) return false;
    for (size_t i = 0; i < tail; i++)
        if (tolower((unsigned char)path[length - tail + i]) != suffix[i]) return false;
    return true;
}

static loom_status make_parents(char *path, loom_error *err) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool made = mkdir(path, 0777) == 0 || errno == EEXIST;
        int cause = errno;
        if (!made) loom_fail_errno(err, cause, "cannot create the folder %s; choose another path", path);
        *slash = '/';
        if (!made) return err->status;
    }
    return LOOM_OK;
}

/* True if the file holds just that: then it is left alone, and whoever watches it is not disturbed. */
static bool holds_already(const char *path, const loom_buffer *text) {
    struct stat facts;
    FILE *file = fopen(path, "rbe");
    if (!file) return false;
    bool same = fstat(fileno(file), &facts) == 0 && S_ISREG(facts.st_mode) && (size_t)facts.st_size == text->length;
    unsigned char piece[4096];
    for (size_t at = 0; same && at < text->length; at += sizeof piece) {
        size_t left = text->length - at, length = left < sizeof piece ? left : sizeof piece;
        same = fread(piece, 1, length, file) == length && memcmp(piece, (const char *)text->bytes + at, length) == 0;
    }
    fclose(file);
    return same;
}

/* Whole or not at all: written beside the target, then renamed over it. */
static loom_status write_file(const char *path, const loom_buffer *text, loom_error *err) {
    if (holds_already(path, text)) return LOOM_OK;
    size_t length = strlen(path);
    char *temporary = malloc(length + 16);
    if (!temporary) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while saving %s", path);
    memcpy(temporary, path, length + 1);
    loom_status status = make_parents(temporary, err);
    snprintf(temporary + length, 16, ".%ld", (long)getpid() % 1000000);
    FILE *out = status == LOOM_OK ? fopen(temporary, "wbe") : NULL;
    if (status == LOOM_OK && !out) status = loom_fail_errno(err, errno, "cannot write %s; choose another path", path);
    if (out) {
        bool written = text->length == 0 || fwrite(text->bytes, text->length, 1, out) == 1;
        int cause = errno;
        if (fclose(out) != 0 && written) written = false, cause = errno;
        if (written && rename(temporary, path) != 0) written = false, cause = errno;
        if (!written) {
            unlink(temporary);
            status = loom_fail_errno(err, cause, "cannot write %s; free some space, or choose another path", path);
        }
    }
    free(temporary);
    return status;
}

static loom_status save_text(const char *path, const loom_value *value, loom_error *err) {
    if (has_suffix(path, ".pkl") || has_suffix(path, ".pickle") || has_suffix(path, ".bin"))
        return loom_fail(err, LOOM_UNSUPPORTED, "cannot save %s: Python pickles are not written; save as .json or .txt",
                         path);
    if (loom_volume_can_write(path) && value->type != LOOM_IMAGE)
        return loom_fail(err, LOOM_BAD_ARGUMENT,
                         "cannot save %s: the value is a %s, not an image; save as .json or .txt", path,
                         loom_type_name(value->type));
    loom_buffer text = {0};
    loom_status status;
    if (has_suffix(path, ".json")) {
        status = loom_value_json(value, &text, err);
    } else {
        status = loom_value_str(value, &text);
        if (status != LOOM_OK) loom_fail(err, status, "cannot write %s as text: %s", path, loom_status_message(status));
    }
    if (status == LOOM_OK) status = write_file(path, &text, err);
    loom_buffer_free(&text);
    return status;
}

static loom_status print_value(loom_session *session, const char *label, const loom_value *value, loom_error *err) {
    loom_buffer text = {0};
    loom_status status = loom_value_str(value, &text);
    FILE *out = session->options->prints;
    if (status != LOOM_OK) {
        loom_fail(err, status, "cannot print %s: %s", label, loom_status_message(status));
    } else if (out) {
        fprintf(out, "%s=", label);
        if (text.length) fwrite(text.bytes, text.length, 1, out);
        fputc('\n', out);
        if (fflush(out) != 0) status = loom_fail_errno(err, errno, "cannot print %s", label);
    }
    loom_buffer_free(&text);
    return status;
}

/* ---- one goal ---- */

static bool writes_image(const loom_session *session, size_t index) {
    const loom_goal *asked = loom_plan_goal(session->plan, index);
    uint32_t step = loom_graph_resolve(&session->graph, session->goals[index].step);
    return asked->kind == LOOM_GOAL_SAVE && session->graph.steps[step].type == LOOM_IMAGE &&
           loom_volume_can_write(asked->name);
}

/* Two goals with one path: the later one must have the last word. */
static bool path_is_busy(const loom_session *session, size_t index) {
    const char *path = loom_plan_goal(session->plan, index)->name;
    for (size_t i = session->goals_met; i < index; i++) {
        const loom_goal *earlier = loom_plan_goal(session->plan, i);
        bool open = session->goals[i].stage == LOOM_GOAL_VALUE || session->goals[i].stage == LOOM_GOAL_WRITING;
        if (open && earlier->kind == LOOM_GOAL_SAVE && strcmp(earlier->name, path) == 0) return true;
    }
    return false;
}

static loom_status start_writing(loom_session *session, size_t index, loom_error *err) {
    loom_goal_state *goal = &session->goals[index];
    const loom_goal *asked = loom_plan_goal(session->plan, index);
    loom_value path = loom_string_of(asked->name);
    loom_node_index node;
    uint32_t arguments[2] = {goal->step, LOOM_STEP_NONE};
    LOOM_TRY(loom_plan_constant(session->plan, &path, &node, err));
    LOOM_TRY(loom_lower(session, node, LOOM_STEP_NONE, &arguments[1], err));
    LOOM_TRY(loom_lower_internal(session, "loom.save", arguments, 2, asked->node, &goal->write, err));
    goal->stage = LOOM_GOAL_WRITING;
    return loom_demand(session, goal->write, err);
}

/* Prints or saves a value that is known. */
static loom_status deliver(loom_session *session, size_t index, uint32_t step, loom_error *err) {
    loom_goal_state *goal = &session->goals[index];
    const loom_goal *asked = loom_plan_goal(session->plan, index);
    loom_value value;
    loom_error cause = {0};
    loom_arena *arena = loom_arena_new();
    if (!arena) return loom_fail(err, LOOM_NO_MEMORY, "out of memory while meeting a goal");
    loom_status status = loom_step_value(session, step, arena, &value, &cause);
    if (status == LOOM_NOT_FOUND || status == LOOM_CORRUPT) {
        loom_arena_free(arena);
        LOOM_TRY(loom_recompute(session, step, status, err));
        return loom_demand(session, step, err);
    }
    if (status == LOOM_OK) {
        if (asked->kind == LOOM_GOAL_PRINT)
            status = print_value(session, asked->name, &value, &cause);
        else if (asked->kind == LOOM_GOAL_SAVE)
            status = save_text(asked->name, &value, &cause);
    }
    loom_arena_free(arena);
    goal->stage = LOOM_GOAL_MET;
    return status == LOOM_OK ? LOOM_OK : goal_fails(session, index, &cause);
}

/* The value was fine, writing it was not: the place to look at is the goal. */
static void name_the_save(loom_session *session, size_t index, uint32_t failure) {
    loom_error *error = &session->failures[failure].error;
    const loom_position *position = &loom_plan_goal(session->plan, index)->position;
    error->file[0] = error->node[0] = error->excerpt[0] = '\0';
    error->line = error->column = 0;
    loom_error_at(error, position->file, position->line, position->column);
    loom_error_node(error, "save");
}

static loom_status advance_goal(loom_session *session, size_t index, bool in_turn, loom_error *err) {
    loom_goal_state *goal = &session->goals[index];
    if (goal->stage == LOOM_GOAL_MET || goal->stage == LOOM_GOAL_FAILED) return LOOM_OK;
    uint32_t step = loom_graph_resolve(&session->graph, goal->stage == LOOM_GOAL_WRITING ? goal->write : goal->step);
    const loom_step *awaited = &session->graph.steps[step];
    if (awaited->state == LOOM_STEP_FAILED) {
        if (goal->stage == LOOM_GOAL_WRITING) name_the_save(session, index, awaited->failure);
        goal->stage = LOOM_GOAL_FAILED;
        goal->failure = awaited->failure;
        return LOOM_OK;
    }
    if (awaited->state != LOOM_STEP_DONE) return LOOM_OK;
    if (goal->stage == LOOM_GOAL_WRITING) {
        goal->stage = LOOM_GOAL_MET;
        return LOOM_OK;
    }
    if (writes_image(session, index))
        return path_is_busy(session, index) ? LOOM_OK : start_writing(session, index, err);
    return in_turn ? deliver(session, index, step, err) : LOOM_OK;
}

loom_status loom_goals_advance(loom_session *session, loom_error *err) {
    size_t count = loom_plan_goal_count(session->plan);
    for (size_t i = session->goals_met; i < count && i < session->goals_met + AHEAD; i++) {
        LOOM_TRY(advance_goal(session, i, i == session->goals_met, err));
        LOOM_TRY(loom_work_drain(session, err));
        loom_goal_stage stage = session->goals[i].stage;
        if (i == session->goals_met && (stage == LOOM_GOAL_MET || stage == LOOM_GOAL_FAILED)) session->goals_met++;
    }
    return LOOM_OK;
}

/* ---- the report ---- */

static uint64_t size_of_file(const char *path) {
    struct stat found;
    return stat(path, &found) == 0 ? (uint64_t)found.st_size : 0;
}

loom_status loom_goals_report(loom_session *session, loom_summary *summary) {
    size_t count = session->goals ? loom_plan_goal_count(session->plan) : 0;
    summary->goals = loom_arena_array(summary->arena, count, sizeof *summary->goals);
    summary->failures =
        loom_arena_copy(summary->arena, session->failures, session->failure_count * sizeof *session->failures);
    if (!summary->goals || !summary->failures) return LOOM_NO_MEMORY;
    summary->failure_count = session->failure_count;
    for (size_t i = 0; i < summary->failure_count; i++)
        LOOM_TRY(loom_report_calls(session->plan, &summary->failures[i], summary->arena));
    summary->goal_count = count;
    for (size_t i = 0; i < count; i++) {
        const loom_goal *asked = loom_plan_goal(session->plan, i);
        const loom_goal_state *goal = &session->goals[i];
        loom_goal_report *report = &summary->goals[i];
        static const char *const operations[] = {
            [LOOM_GOAL_PRINT] = "print", [LOOM_GOAL_SAVE] = "save", [LOOM_GOAL_KEEP] = "keep"};
        report->operation = operations[asked->kind];
        report->name = loom_arena_text(summary->arena, asked->name, strlen(asked->name));
        if (!report->name) return LOOM_NO_MEMORY;
        loom_id_hex(&loom_plan_node(session->plan, asked->node)->id, report->id);
        report->status = goal->stage == LOOM_GOAL_MET ? "ok" : goal->stage == LOOM_GOAL_FAILED ? "failed" : "skipped";
        if (goal->stage == LOOM_GOAL_FAILED) report->error = session->failures[goal->failure].error;
        if (goal->stage == LOOM_GOAL_MET && asked->kind == LOOM_GOAL_SAVE) report->bytes = size_of_file(asked->name);
    }
    return LOOM_OK;
}
